"""An ONNX graph as listing and cutting need it: what it is fed, what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from cutpoint.base.types import shape_text

# Their further outputs are masks and statistics of training.
_ONE_OUTPUT = ("Dropout", "BatchNormalization")
# They tell the size of data, not the data: what is computed from them is the same for every item.
_SIZES_ONLY = ("EyeLike", "Shape", "Size")


@dataclass(frozen=True)
class NetworkInput:
    """An input that takes data.

    Attributes
    ----------
    name : str
    dtype : str
        NumPy name; empty for what is no array of numbers.
    dims : tuple of int or None
        As declared, the batch first; None where a size is free.
    layout : str
        ``"NCHW"`` or ``"NHWC"`` if it takes colour images; empty otherwise.
    """

    name: str
    dtype: str
    dims: tuple[int | None, ...]

    @property
    def layout(self) -> str:
        if len(self.dims) != 4 or 3 not in (self.dims[1], self.dims[3]):
            return ""
        return "NCHW" if self.dims[1] == 3 else "NHWC"

    def __str__(self) -> str:
        return f"{self.dtype or 'no numbers'} of shape {shape_text(self.dims)}"


def data_inputs(model: Any) -> list[NetworkInput]:
    """Return the inputs that have no default."""
    defaults = {tensor.name for tensor in model.graph.initializer}
    return [_input(info) for info in model.graph.input if info.name not in defaults]


def _input(info: Any) -> NetworkInput:
    kind = info.type.tensor_type
    if kind.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return NetworkInput(info.name, "", ())
    dims = tuple(dim.dim_value or None for dim in kind.shape.dim)
    return NetworkInput(info.name, helper.tensor_dtype_to_np_dtype(kind.elem_type).name, dims)


class Graph:
    """A model's graph, indexed.

    Attributes
    ----------
    model : onnx.ModelProto
    inputs : list of NetworkInput
    weights : dict
        Name → initializer.
    nodes : list
        Those whose outputs depend on the data, in execution order.
    producers : dict
        Tensor → the node that computes it, for all nodes.
    data : set
        Names of the tensors that depend on the data.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.inputs = data_inputs(model)
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self.data = {each.name for each in self.inputs}
        self.nodes: list[Any] = []
        for node in model.graph.node:
            if node.op_type not in _SIZES_ONLY and not self.data.isdisjoint(names_read(node)):
                self.data.update(outputs_of(node))
                self.nodes.append(node)

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators the model is written in."""
        versions = {each.domain: each.version for each in self.model.opset_import}
        return int(versions.get("", versions.get("ai.onnx", 0)))

    def data_read(self, node: Any) -> list[str]:
        """Return the inputs of `node` that depend on the data."""
        return [name for name in node.input if name in self.data]

    def constant(self, name: str) -> Any:
        """Return the array `name` stands for if the file holds it, else None."""
        if name in self.weights:
            return numpy_helper.to_array(self.weights[name])
        if name in self.producers and self.producers[name].op_type == "Constant":
            value = attribute(self.producers[name], "value")
            return None if value is None else numpy_helper.to_array(value)
        return None

    def weights_of(self, node: Any) -> list[Any]:
        """Return the initializers of `node`, read directly or through nodes that see no data."""
        found: dict[str, Any] = {}
        waiting, seen = list(node.input), set(self.data)
        while waiting:
            name = waiting.pop()
            if name in self.weights:
                found[name] = self.weights[name]
            elif name in self.producers and name not in seen:
                waiting += self.producers[name].input
            seen.add(name)
        return list(found.values())

    def part(
        self,
        outputs: Sequence[Any],
        front: Iterable[Any] = (),
        rest: Iterable[Any] = (),
        inputs: Sequence[Any] = (),
        constants: Iterable[Any] = (),
    ) -> Any:
        """Return a new model that computes `outputs` and nothing else.

        Parameters
        ----------
        outputs : sequence of ValueInfoProto
        front, rest : nodes
            Put before and behind the network's own.
        inputs : sequence of ValueInfoProto
        constants : initializers
            The graph of `front` and `rest`.
        """
        rest = list(rest)
        wanted = {info.name for info in outputs} | {n for node in rest for n in names_read(node)}
        nodes = []
        for node in reversed(self.model.graph.node):
            if not wanted.isdisjoint(node.output):
                wanted |= names_read(node)
                nodes.append(in_inference_mode(node))
        weights = [tensor for name, tensor in self.weights.items() if name in wanted]
        graph = helper.make_graph(
            [*front, *reversed(nodes), *rest], "cut", inputs, outputs, [*weights, *constants]
        )
        # From version 4 on, weights need not be listed as inputs too.
        version = max(self.model.ir_version, 4)
        return helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=version)


def names_read(node: Any) -> set[str]:
    """Return what `node` reads, with what its inner graphs take from outside."""
    inner = (graph for attribute in node.attribute for graph in _graphs(attribute))
    return {name for name in node.input if name}.union(*map(_names_taken, inner))


def _graphs(attribute: Any) -> list[Any]:
    return [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _names_taken(graph: Any) -> set[str]:
    own = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    read = {info.name for info in graph.output}.union(*map(names_read, graph.node))
    return read - own


def outputs_of(node: Any) -> list[str]:
    """Return the outputs of `node` that mean something in inference."""
    outputs = node.output[:1] if node.op_type in _ONE_OUTPUT else node.output
    return [name for name in outputs if name]


def in_inference_mode(node: Any) -> Any:
    """Return `node`, or a copy of it that does not train if it was saved training."""
    if node.op_type not in _ONE_OUTPUT:
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.output[1:]
    if node.op_type == "Dropout":
        del copy.input[2:]  # whether it is active, from opset 12 on
    kept = [each for each in node.attribute if each.name != "training_mode"]
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Return the value of an attribute of `node`."""
    for each in node.attribute:
        if each.name == name:
            return helper.get_attribute_value(each)
    return default
