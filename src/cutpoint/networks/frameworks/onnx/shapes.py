"""What shape and type every tensor has for one item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from cutpoint.base.errors import WeightsError
from cutpoint.networks.frameworks.onnx.graph import Graph, outputs_of
from cutpoint.networks.frameworks.onnx.ops import tensor_info
from cutpoint.networks.runtimes.onnx import Session

MOST_BYTES = 2**31
"""One tensor's for one item; ONNX's own limit of a file. A graph that declares more is no network
one would cut, and would only take memory."""

_FEW_VALUES = 1024  # constants that small can be shapes, so inference is given their values


class TensorType:
    """Shape and NumPy type of a tensor; `dtype` is empty for what is no array."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, dtype


Shapes = Mapping[str, tuple[int, ...]]
"""One item's, by input of the network."""


def tensor_types(graph: Graph, items: Shapes, name: str) -> dict[str, TensorType]:
    """Return the type of every tensor that depends on the data, and of all weights.

    ONNX's shape inference gives most; the rest is found by running the network once on zeros.
    """
    found = _inferred(graph, {each: (1, *shape) for each, shape in items.items()})
    _refuse_huge(found, name)
    unknown = [each for node in graph.nodes for each in outputs_of(node) if each not in found]
    if unknown:
        found |= _observed(graph, unknown, items, name)
    weights = ((tensor.name, tensor) for tensor in graph.weights.values())
    return found | {each: TensorType(tuple(tensor.dims), "") for each, tensor in weights}


def _inferred(graph: Graph, shapes: Shapes) -> dict[str, TensorType]:
    try:
        model = onnx.shape_inference.infer_shapes(_skeleton(graph, shapes), data_prop=True)
    except onnx.shape_inference.InferenceError:  # running the network tells more, or what is wrong
        return {each.name: TensorType(shapes[each.name], each.dtype) for each in graph.inputs}
    infos = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    known = ((info.name, _type_of(info)) for info in infos)
    return {name: kind for name, kind in known if kind is not None}


def _skeleton(graph: Graph, shapes: Shapes) -> Any:
    """Return the model without its large weights and without what it says of shapes itself."""
    weights = list(graph.weights.values())
    small = [tensor for tensor in weights if math.prod(tensor.dims) <= _FEW_VALUES]
    large = [
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in weights
        if math.prod(tensor.dims) > _FEW_VALUES
    ]
    own = [tensor_info(each.name, each.dtype, shapes[each.name]) for each in graph.inputs]
    inputs = [*own, *large]
    outputs = [helper.make_empty_tensor_value_info(info.name) for info in graph.model.graph.output]
    inner = helper.make_graph(graph.model.graph.node, "skeleton", inputs, outputs, small)
    version = max(graph.model.ir_version, 4)
    return helper.make_model(inner, opset_imports=graph.model.opset_import, ir_version=version)


def _type_of(info: Any) -> TensorType | None:
    kind = info.type.tensor_type
    if not kind.elem_type or not kind.HasField("shape"):
        return None
    dims = kind.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    return TensorType(tuple(dim.dim_value for dim in dims), _dtype_name(kind.elem_type))


def _dtype_name(elem_type: int) -> str:
    if elem_type == TensorProto.STRING:
        return ""
    return str(helper.tensor_dtype_to_np_dtype(elem_type).name)


def _refuse_huge(found: dict[str, TensorType], name: str) -> None:
    for tensor, kind in found.items():
        n_bytes = math.prod(kind.shape) * (np.dtype(kind.dtype).itemsize if kind.dtype else 1)
        if n_bytes > MOST_BYTES:
            raise WeightsError(
                f'The tensor "{tensor}" of {name} would take {n_bytes:,} bytes per item.',
                f"Its shape is {kind.shape}.",
                f"Networks whose tensors take at most {MOST_BYTES:,} bytes per item.",
                "Look at the file before you trust it:  onnx.shape_inference.infer_shapes",
            )


def _observed(graph: Graph, names: list[str], items: Shapes, name: str) -> dict[str, TensorType]:
    inputs = [tensor_info(e.name, e.dtype, (None, *items[e.name])) for e in graph.inputs]
    outputs = [onnx.ValueInfoProto(name=each) for each in names]
    try:
        session = Session(graph.part(outputs, inputs=inputs), is_optimised=False)
        values = session({e.name: np.zeros((1, *items[e.name]), e.dtype) for e in graph.inputs})
    except Exception as error:  # whatever onnxruntime meets in a file it can't run
        raise cannot_run(name, error) from error
    return {each: _seen(value) for each, value in zip(names, values, strict=True)}


def _seen(value: Any) -> TensorType:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        return TensorType((), "")
    return TensorType(value.shape, value.dtype.name)


def cannot_run(name: str, error: Exception) -> WeightsError:
    """Return the error of a network that onnxruntime refuses."""
    return WeightsError(
        f"{name} can't be run.",
        f"onnxruntime says: {' '.join(str(error).split())[:300]}",
        "A network of ONNX's own operators that runs on the CPU, one item at a time.",
        "See it fail by itself:  onnxruntime.InferenceSession(FILE).run(None, {INPUT: array})",
    )
