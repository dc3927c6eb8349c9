"""A frozen graph, and the little surgery it needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.networks.runtimes.tensorflow import import_tensorflow

tf = import_tensorflow()

# Read or run what lies outside the graph, yet are registered as free of state.
_OUTSIDE = {"MatchingFiles", "PyFuncStateless", "ReadFile"}
# Registered as stateful, yet give the same numbers every time.
_HARMLESS = {"Assert", "If", "Print", "PrintV2", "StatefulPartitionedCall", "While"}
_HARMLESS_FAMILY = "TensorArray"  # what loops keep their results in
_V1_CONTROL_FLOW = {"Switch", "RefSwitch"}


@dataclass(frozen=True)
class GraphNetwork:
    """A frozen graph: constants instead of variables, and inputs of data.

    Attributes
    ----------
    graph_def : GraphDef
    inputs : tuple of str
        Names of the placeholders.
    outputs : tuple of str
        Names of the nodes at which the network ends.
    """

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def dtype_of(self, name: str) -> Any:
        """Return TensorFlow's type of an input."""
        return tf.dtypes.as_dtype(self._placeholder(name).attr["dtype"].type)

    def shape_of(self, name: str) -> tuple[int | None, ...] | None:
        """Return the shape an input declares, batch first; None for sizes, or all, left open."""
        shape = tf.TensorShape(self._placeholder(name).attr["shape"].shape)
        return None if shape.rank is None else tuple(shape.as_list())

    def _placeholder(self, name: str) -> Any:
        return next(node for node in self.graph_def.node if node.name == name)


def graph_network(graph_def: Any, inputs: Sequence[str], outputs: Sequence[str], what: str) -> Any:
    """Return a `GraphNetwork` of what `outputs` need, or refuse it.

    Notes
    -----
    Devices, colocation and noted shapes go, as they say where and for which batch the graph once
    ran. So do control inputs, which only order what has side effects; nothing here has any.
    Where the graph branches in the old way (``Switch``) they mark a branch, and stay.

    Raises
    ------
    WeightsError
        If a node reads files, runs Python, keeps state, draws random numbers, normalises by the
        batch it is given, or is of a kind this TensorFlow does not know.
    """
    plain = _plain(graph_def)
    network = GraphNetwork(pruned(plain, [*outputs, *inputs]), tuple(inputs), tuple(outputs))
    _refuse_unfit(network.graph_def, what)
    _refuse_broken(network.graph_def, what)
    return network


def pruned(graph_def: Any, names: Iterable[str]) -> Any:
    """Return the part of a graph that the nodes `names` need."""
    by_name = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(input_nodes(by_name[name]))
    kept = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    kept.node.extend(node for node in graph_def.node if node.name in needed)
    return kept


def renamed(graph_def: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of a graph whose nodes are called as `names` says."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    for node in copy.node:
        node.name = names[node.name]
        for place, text in enumerate(node.input):
            name = node_of(text)
            node.input[place] = text.replace(name, names[name], 1)
    return copy


def input_nodes(node: Any) -> Iterator[str]:
    """Yield the names of the nodes whose outputs `node` takes or waits for."""
    return (node_of(text) for text in node.input)


def node_of(text: str) -> str:
    """Return the node in ``name``, ``name:1`` or ``^name``."""
    return text.removeprefix("^").partition(":")[0]


def import_network(
    network: GraphNetwork, fed: Mapping[str, Any], outputs: Sequence[str] = ()
) -> list[Any]:
    """Add the network to the graph that is being built, fed by the names of its inputs.

    Returns
    -------
    tensors : list
        First outputs of the nodes `outputs`.

    Raises
    ------
    ValueError
        If a shape in `fed` does not fit.
    """
    names = [f"{name}:0" for name in outputs]
    graph_def = pruned(network.graph_def, [*outputs, *network.inputs]) if outputs else None
    given = {f"{name}:0": tf.cast(each, network.dtype_of(name)) for name, each in fed.items()}
    found = tf.graph_util.import_graph_def(
        graph_def or network.graph_def, given, names or None, name="network"
    )
    return list(found or ())


def _plain(graph_def: Any) -> Any:
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph_def)
    branches = any(node.op in _V1_CONTROL_FLOW for node in copy.node)
    for node in copy.node:
        node.device = ""
        for attribute in ("_class", "_output_shapes"):
            node.attr.pop(attribute, None)
        if not branches:
            data = [text for text in node.input if not text.startswith("^")]
            del node.input[:]
            node.input.extend(data)
    return copy


def _refuse_unfit(graph_def: Any, what: str) -> None:
    functions = (function.node_def for function in graph_def.library.function)
    for node in (node for nodes in (graph_def.node, *functions) for node in nodes):
        why = _unfit(node)
        if why:
            raise WeightsError(
                f'{what} can\'t be loaded: its node "{node.name}" of kind {node.op} {why}.',
                "A graph may hold known operations alone.",
                "A graph that computes the same numbers from its input every time.",
                "Export the network anew, for inference",
            )


def _refuse_broken(graph_def: Any, what: str) -> None:
    """Refuse a graph whose nodes do not fit together."""
    try:
        with tf.Graph().as_default():
            tf.graph_util.import_graph_def(graph_def, name="")
    except ValueError as error:
        raise WeightsError(
            f"{what} has a graph that does not fit together.",
            f"TensorFlow says: {' '.join(str(error).split())[:300]}",
            "A whole graph, as TensorFlow writes it.",
            "Export or convert the network anew",
        ) from error


def _unfit(node: Any) -> str:
    from tensorflow.python.framework import op_def_registry  # no public name tells what has state

    definition = op_def_registry.get(node.op)
    if definition is None:
        return "is unknown to this TensorFlow"
    if node.op.startswith("FusedBatchNorm") and node.attr["is_training"].b:
        return "is in training mode: it normalises by the batch it is given"
    is_harmless = node.op in _HARMLESS or node.op.startswith(_HARMLESS_FAMILY)
    if node.op in _OUTSIDE or (definition.is_stateful and not is_harmless):
        return "reaches beyond the graph: files, Python, tables, state or random numbers"
    return ""
