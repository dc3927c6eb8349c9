"""TF.js graph-models: ``model.json`` and shards → a frozen TensorFlow graph.

The topology is a GraphDef in protobuf's own JSON, its constants without their values, which lie in
the weights. The converter fuses operations for speed; here they are taken apart again, so that
every engine knows them and each step can be a tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutpoint.base.errors import WeightsError
from cutpoint.base.types import Array
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.runtimes.tensorflow import import_tensorflow
from cutpoint.networks.sources.files import files_sha256
from cutpoint.networks.sources.tf_graphs import graph_backbone, import_tfgraph
from cutpoint.networks.sources.tfjs_weights import (
    model_files,
    model_name,
    read_model_json,
    read_weights,
)

if TYPE_CHECKING:
    from cutpoint.networks.frameworks.tfgraph import GraphNetwork

# What the converter calls an activation within a fused operation → TensorFlow's operation.
_ACTIVATIONS = ("Elu", "LeakyRelu", "Relu", "Relu6", "Sigmoid", "Tanh")
# Fused operation → what it starts with, and the attributes that take along.
_CONV = ("data_format", "dilations", "explicit_paddings", "padding", "strides")
_FUSED = {
    "_FusedConv2D": ("Conv2D", _CONV),
    "FusedDepthwiseConv2dNative": ("DepthwiseConv2dNative", _CONV),
    "_FusedMatMul": ("MatMul", ("transpose_a", "transpose_b")),
}


def load_graph_model(path: Path, options: LoadOptions) -> Backbone:
    """Return the network of a TF.js graph-model; its preprocessing must be stated.

    Parameters
    ----------
    path : Path
        ``model.json``, or the folder it lies in.
    options : LoadOptions
    """
    model_json = (path / "model.json" if path.is_dir() else path).resolve()
    network = read_graph_model(model_json)
    sha256 = files_sha256(model_files(model_json), model_json.parent)
    names = ("tfjs", model_name(model_json), str(model_json))
    return graph_backbone(network, names, sha256, options)


def read_graph_model(model_json: Path) -> GraphNetwork:
    """Return the graph of a TF.js graph-model, weights in its constants.

    Raises
    ------
    WeightsError
        If a weight is missing, or an operation is one TensorFlow does not have.
    """
    tfgraph = import_tfgraph()
    what = f'TF.js model "{model_json}"'
    topology = read_model_json(model_json).get("modelTopology")
    graph_def = _unfused(_graph_def(topology, model_json), model_json)
    _fill_constants(graph_def, read_weights(model_json), model_json)
    inputs = [node.name for node in graph_def.node if node.op == "Placeholder"]
    network: GraphNetwork = tfgraph.graph_network(graph_def, inputs, _ends(graph_def), what)
    return network


def _graph_def(topology: Any, model_json: Path) -> Any:
    tf = import_tensorflow()
    from google.protobuf import json_format

    graph_def = tf.compat.v1.GraphDef()
    try:
        if not isinstance(topology, dict):
            raise TypeError(f'"modelTopology" is a {type(topology).__name__}')
        json_format.ParseDict(topology, graph_def, ignore_unknown_fields=True)
    except (json_format.ParseError, AttributeError, TypeError) as error:
        raise _refused(model_json, f"Its topology is no graph: {error}.") from error
    return graph_def


def _fill_constants(graph_def: Any, weights: Mapping[str, Array], model_json: Path) -> None:
    """Put the weights into the constants of their names, in the types the graph wants."""
    tf = import_tensorflow()
    for node in graph_def.node:
        if node.op != "Const":
            continue
        if node.name not in weights:
            raise _refused(model_json, f'The weights hold nothing for its constant "{node.name}".')
        wanted = tf.as_dtype(node.attr["dtype"].type)
        values = weights[node.name]
        # The converter writes 64-bit integers as 32-bit ones.
        values = values if values.dtype == object else values.astype(wanted.as_numpy_dtype)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values, wanted, values.shape))


def _ends(graph_def: Any) -> list[str]:
    """Return the nodes no other node takes; TF.js runs those by default."""
    from cutpoint.networks.frameworks.tfgraph.network import input_nodes

    taken = {name for node in graph_def.node for name in input_nodes(node)}
    idle = ("Const", "NoOp", "Placeholder")
    return [node.name for node in graph_def.node if node.name not in taken and node.op not in idle]


def _unfused(graph_def: Any, model_json: Path) -> Any:
    """Return the graph with fused operations taken apart.

    The last step keeps the name, so that whoever took the fused node's output takes the same. The
    steps before it are called ``name/Conv2D``, ``name/BiasAdd``.
    """
    tf = import_tensorflow()
    plain = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        if node.op in _FUSED:
            plain.node.extend(_fused_steps(node, model_json))
        elif node.op == "Prelu":
            plain.node.extend(_prelu(node.name, node.input[0], node.input[1], _type(node)))
        else:
            plain.node.append(node)
    return plain


def _fused_steps(node: Any, model_json: Path) -> list[Any]:
    kind, attributes = _FUSED[node.op]
    data, weights, *extras = (text for text in node.input if not text.startswith("^"))
    steps = [_node(f"{node.name}/{kind}", kind, [data, weights], T=_type(node))]
    for name in attributes:
        if name in node.attr:
            steps[0].attr[name].CopyFrom(node.attr[name])
    for raw in node.attr["fused_ops"].list.s:
        steps.extend(_fused_step(node, raw.decode(), steps[-1].name, extras, model_json))
    steps[-1].name = node.name
    return steps


def _fused_step(
    node: Any, kind: str, data: str, extras: list[str], model_json: Path
) -> Iterator[Any]:
    """Yield the nodes of one step after the first; takes what it needs from `extras`."""
    name, dtype = f"{node.name}/{kind}", _type(node)
    if kind == "BiasAdd":
        bias = _node(name, kind, [data, extras.pop(0)], T=dtype)
        if node.attr["data_format"].s:
            bias.attr["data_format"].CopyFrom(node.attr["data_format"])
        yield bias
    elif kind == "Prelu":
        yield from _prelu(name, data, extras.pop(0), dtype)
    elif kind in _ACTIVATIONS:
        activation = _node(name, kind, [data], T=dtype)
        if kind == "LeakyRelu":
            activation.attr["alpha"].f = _slope(node)
        yield activation
    elif kind != "NoActivation":
        why = f'Its node "{node.name}" of kind {node.op} fuses {kind}, which is unknown.'
        raise _refused(model_json, why)


def _prelu(name: str, data: str, slope: str, dtype: int) -> Iterator[Any]:
    """Yield the steps of ``max(x, 0) − slope · max(−x, 0)``."""
    yield _node(f"{name}/Relu", "Relu", [data], T=dtype)
    yield _node(f"{name}/Neg", "Neg", [data], T=dtype)
    yield _node(f"{name}/Relu_1", "Relu", [f"{name}/Neg"], T=dtype)
    yield _node(f"{name}/Mul", "Mul", [slope, f"{name}/Relu_1"], T=dtype)
    yield _node(name, "Sub", [f"{name}/Relu", f"{name}/Mul"], T=dtype)


def _type(node: Any) -> int:
    """Return the number of a node's type; what TF.js adds itself does without, and is float32."""
    return int(node.attr["T"].type or import_tensorflow().float32.as_datatype_enum)


def _slope(node: Any) -> float:
    """Return the slope of a fused LeakyRelu; 0.2 is tfjs-converter's default."""
    return node.attr["leakyrelu_alpha"].f if "leakyrelu_alpha" in node.attr else 0.2


def _node(name: str, kind: str, inputs: list[str], **types: int) -> Any:
    node = import_tensorflow().compat.v1.NodeDef(name=name, op=kind, input=inputs)
    for attribute, dtype in types.items():
        node.attr[attribute].type = dtype
    return node


def _refused(model_json: Path, why: str) -> WeightsError:
    return WeightsError(
        f'The graph of TF.js model "{model_json}" can\'t be loaded.',
        why,
        "A graph-model as tensorflowjs_converter writes it.",
        "Convert the network anew",
    )
