"""List the nodes of a graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from cutpoint.base.spec import Constants, Preprocess
from cutpoint.items.kinds import in_graph
from cutpoint.networks.frameworks.inputs import (
    FREE,
    OTHER,
    fed_by,
    first_shape,
    free_shape,
    is_free,
    picture_sides,
)
from cutpoint.networks.frameworks.tfgraph.network import GraphNetwork, import_network
from cutpoint.networks.layer_table import (
    ANSWER,
    FEATURES,
    HANDS_ON,
    INPUT,
    PROBABILITIES,
    Layer,
    LayerTable,
    stride_of,
)
from cutpoint.networks.runtimes.tensorflow import import_tensorflow, network_input, operation_macs

tf = import_tensorflow()

_SCOPE = "network/"
# Hand their input on, or hold none.
_PLUMBING = {
    "CheckNumerics",
    "Identity",
    "IdentityN",
    "NoOp",
    "Placeholder",
    "PlaceholderWithDefault",
    "PreventGradient",
    "Snapshot",
    "StopGradient",
}
# Tell about an array without its values: what hangs on these alone is arithmetic of shapes.
_SHAPE_ONLY = {"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"}
_LAYOUTS = {4: "NHWC", 3: "NTC", 2: "NC"}


def list_layers(
    network: Any, preprocess: Preprocess, name: str = "", constants: Constants = ()
) -> LayerTable:
    """Return the nodes that depend on the input's values, in execution order.

    Parameters
    ----------
    network : GraphNetwork
        In which `constants` are nodes already.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Says what one item looks like.
    name : str
        How the backbone is called in messages.

    Notes
    -----
    Left out are nodes that hand on what they are given (``Identity``) and arithmetic of shapes.
    A node counts as its own the constants that reach it through nothing that depends on the input.
    A node is no tap if it has several outputs (but for batch normalisation, whose first is the
    activation), if its first axis is not the batch, or if its shape is known only at run time.
    """
    single = _operations(network, preprocess, 1)
    double = _shapes_of_two(network, preprocess)
    others = _shapes_of_other_sizes(network, preprocess)
    sides = picture_sides(preprocess)
    layouts = _layouts(single, sides is not None and sides[0] == sides[1])
    costs = itertools.accumulate(operation_macs(operation) for operation in single)
    listed = [
        (operation, macs)
        for operation, macs in zip(single, costs, strict=True)
        if _is_of_network(operation) and operation.type not in _PLUMBING
    ]
    height = _height(preprocess)
    learned, answers = _learned(single), _answers(single, network)
    whys = {operation.name: _why_no_tap(operation, double) for operation, _ in listed}
    rows = (
        Layer(
            index=index,
            name=operation.name.removeprefix(_SCOPE),
            kind=operation.type,
            shape=(None, *free_shape(_shape(operation), _other(operation, others))[1:]),
            stride=_stride(operation, layouts[operation.name], height),
            params=_n_params(operation, layouts.keys()),
            macs=macs,
            tappable=not whys[operation.name],
            layout=layouts[operation.name],
            holds=ANSWER
            if operation.name in answers
            else FEATURES
            if operation.name in learned
            else INPUT,
            why_no_tap=whys[operation.name],
        )
        for index, (operation, macs) in enumerate(listed)
    )
    return LayerTable(name, tuple(rows), network.inputs[0])


def _shapes_of_other_sizes(
    network: GraphNetwork, preprocess: Preprocess
) -> dict[str, tuple[Any, ...]]:
    """Return every node's shape where inputs are of another size; nothing if none is free."""
    if not is_free(preprocess):
        return {}
    operations = _operations(network, preprocess, 1, free=OTHER)
    return {operation.name: _shape(operation) for operation in operations}


def _other(operation: Any, others: dict[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return others.get(operation.name, _shape(operation))


def _learned(operations: Sequence[Any]) -> set[str]:
    """Return the nodes that something learned has a part in; all, if nothing in the graph is."""
    dependents = {operation.name for operation in operations}
    found: set[str] = set()
    for operation in operations:
        reads = {tensor.op.name for tensor in operation.inputs}
        # A matrix of weights at least: limits and colours' scales are single numbers or one row.
        is_learned = any(
            sum(size > 1 for size in _shape(constant)) >= 2
            for constant in _constants(operation, dependents)
        )
        if is_learned or not found.isdisjoint(reads):
            found.add(operation.name)
    return found or dependents


def _answers(operations: Sequence[Any], network: GraphNetwork) -> set[str]:
    """Return the nodes from a final softmax or sigmoid on, whatever only hands it on."""
    by_name = {operation.name: operation for operation in operations}
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [
        (f"{_SCOPE}{each}", ()) for each in network.outputs
    ]
    while waiting:
        name, chain = waiting.pop()
        operation = by_name.get(name)
        if operation is None:
            continue
        if operation.type.lower() in PROBABILITIES:
            found.update((*chain, name))
        elif operation.type == "IdentityN":  # as many outputs as inputs, none of them its own
            waiting += [(tensor.op.name, chain) for tensor in operation.inputs]
        elif operation.inputs and operation.type.lower() in (*HANDS_ON, *map(str.lower, _PLUMBING)):
            waiting.append((operation.inputs[0].op.name, (*chain, name)))
    return found


def grows_with_batch(network: GraphNetwork, preprocess: Preprocess, outputs: Sequence[str]) -> bool:
    """Say whether the part of a graph that `outputs` need takes any number of items.

    A placeholder with an open batch is taken at its word, if two items go through. One that was
    made for a single item may hold sizes made for it, so every node must show two items.
    """
    try:
        double = _operations(network, preprocess, 2, outputs)
    except ValueError:  # shapes that do not fit
        return False
    if has_open_batch(network):
        return True
    single = _operations(network, preprocess, 1, outputs)
    pairs = zip(single, double, strict=True)
    return all(
        _shape(two) == (2, *_shape(one)[1:])
        for one, two in pairs
        if _is_of_network(one) and one.outputs
    )


def has_open_batch(network: GraphNetwork) -> bool:
    shapes = [network.shape_of(name) for name in network.inputs]
    return all(shape is None or (len(shape) > 0 and shape[0] is None) for shape in shapes)


def _operations(
    network: GraphNetwork,
    preprocess: Preprocess,
    n_items: int,
    outputs: Sequence[str] = (),
    free: int = FREE,
) -> list[Any]:
    """Return what depends on the values of a batch, itself first; shapes are for `n_items`."""
    with tf.Graph().as_default() as graph:
        batch = {
            name: tf.compat.v1.placeholder(each.dtype, (n_items, *each.sized(free)))
            for name, each in preprocess.inputs.items()
        }
        import_network(network, network_inputs(network, batch, preprocess, "it"), outputs)
    found = {each.op.name: each.op for each in batch.values()}
    for operation in graph.get_operations():
        fed_by_data = (tensor.op.name for tensor in operation.inputs)
        if operation.type not in _SHAPE_ONLY and any(name in found for name in fed_by_data):
            found[operation.name] = operation
    return list(found.values())


def network_inputs(
    network: GraphNetwork, batch: Mapping[str, Any], preprocess: Preprocess, what: str
) -> dict[str, Any]:
    """Return a prepared batch as the network takes it, by the names of its inputs."""
    ways = in_graph(preprocess)
    return {
        own: network_input(tf, batch[name], ways[name])
        for own, name in fed_by(preprocess.inputs, network.inputs, what).items()
    }


def _is_of_network(operation: Any) -> bool:
    """Tell the network's own operations from the preprocessing in front of it."""
    return bool(operation.name.startswith(_SCOPE))


def _shapes_of_two(network: GraphNetwork, preprocess: Preprocess) -> dict[str, tuple[Any, ...]]:
    """Return every node's shape for two items; nothing if the graph is for single ones."""
    if not has_open_batch(network):
        return {}
    try:
        operations = _operations(network, preprocess, 2)
    except ValueError:  # shapes that do not fit
        return {}
    return {operation.name: _shape(operation) for operation in operations}


def _stride(operation: Any, layout: str, height: int) -> int | None:
    size = _shape(operation)[layout.index("H")] if "H" in layout else None
    return stride_of(height, size) if size else None


def _why_no_tap(operation: Any, double: dict[str, tuple[Any, ...]]) -> str:
    shape = _shape(operation)
    if len(operation.outputs) != 1 and not operation.type.startswith("FusedBatchNorm"):
        return f"it has {len(operation.outputs)} outputs"
    if not operation.outputs[0].dtype.is_floating:
        return f"its values are {operation.outputs[0].dtype.name}, no activations"
    if len(shape) < 2 or None in shape:
        return "its shape is known only when it runs, or it has one axis alone"
    if shape[0] != 1 or (double and double.get(operation.name) != (2, *shape[1:])):
        return "its first axis is not the batch"
    return ""


def _shape(operation: Any) -> tuple[Any, ...]:
    """Return the shape of the first output; empty if nothing is known of it."""
    if not operation.outputs or operation.outputs[0].shape.rank is None:
        return ()
    return tuple(operation.outputs[0].shape.as_list())


def _height(preprocess: Preprocess) -> int:
    """Return the input's height, also of arrays that have their channels first."""
    shape = first_shape(preprocess)
    return shape[1] if len(shape) == 3 and shape[0] < shape[2] else shape[0]


def _layouts(operations: Sequence[Any], is_square: bool) -> dict[str, str]:
    """Return a letter for each axis, by name of node.

    An operation that names its own data format is believed; others keep that of the first input
    of equal rank; transposing moves the letters; what is left has its channels last. Images are
    square, so what is higher than wide is no map of one.
    """
    known: dict[str, str] = {}
    for operation in operations:
        rank = len(_shape(operation))
        inherited = (known.get(tensor.op.name, "") for tensor in operation.inputs)
        layout = next((letters for letters in inherited if len(letters) == rank), "")
        if "data_format" in operation.node_def.attr:
            layout = operation.get_attr("data_format").decode()
        elif operation.type == "Transpose":
            layout = _transposed(operation, layout)
        elif operation.type == "Reshape":
            layout = ""
        found = layout if len(layout) == rank > 1 else _LAYOUTS.get(rank, "")
        known[operation.name] = "" if is_square and _is_oblong(operation, found) else found
    return known


def _is_oblong(operation: Any, layout: str) -> bool:
    shape = _shape(operation)
    return "H" in layout and shape[layout.index("H")] != shape[layout.index("W")]


def _transposed(operation: Any, layout: str) -> str:
    order = tf.get_static_value(operation.inputs[1])
    if order is None or len(order) != len(layout):
        return ""
    return "".join(layout[axis] for axis in order)


def _n_params(operation: Any, dependents: Collection[str]) -> int:
    """Return how many numbers reach a node through nothing that depends on the input."""
    return sum(math.prod(_shape(constant)) for constant in _constants(operation, dependents))


def _constants(operation: Any, dependents: Collection[str]) -> list[Any]:
    """Return the constants that reach a node through nothing that depends on the input."""
    constants: list[Any] = []
    waiting = [tensor.op for tensor in operation.inputs]
    seen: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each.name in seen or each.name in dependents:
            continue
        seen.add(each.name)
        if each.type == "Const" and each.outputs[0].dtype.is_floating:
            constants.append(each)
        waiting.extend(tensor.op for tensor in each.inputs)
    return constants
