"""Parameters and multiply-accumulates of one node."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from onnx import TensorProto

from cutpoint.networks.frameworks.onnx.graph import Graph, attribute

Shapes = dict[str, tuple[int, ...]]

# Integers of 64 bits are shapes, axes and places, never weights.
_NOT_WEIGHTS = (TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING)


def node_params(graph: Graph, node: Any) -> int:
    """Return the number of weights `node` uses; single numbers such as limits don't count."""
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.weights_of(node)
        if tensor.dims and tensor.data_type not in _NOT_WEIGHTS
    )


def is_learned(graph: Graph, node: Any) -> bool:
    """Say whether `node` computes with learned weights: a matrix of them at least.

    Limits, means, colours' scales and the values of a one-hot are single numbers or one row.
    """
    return any(
        sum(size > 1 for size in tensor.dims) >= 2 and tensor.data_type not in _NOT_WEIGHTS
        for tensor in graph.weights_of(node)
    )


def node_macs(node: Any, shapes: Shapes) -> int:
    """Return the multiply-accumulates of `node` for one item.

    Convolutions and matrix products; all else is free, as in torch's own counter.
    """
    count = _COUNTS.get(node.op_type)
    try:
        return count(node, shapes) if count else 0
    except KeyError:  # an operand whose shape nobody could tell
        return 0


def _conv(node: Any, shapes: Shapes, weights: int = 1) -> int:
    kernel = shapes[node.input[weights]]  # (out, in / groups, …)
    return math.prod(kernel[1:]) * math.prod(shapes[node.output[0]])


def _qlinear_conv(node: Any, shapes: Shapes) -> int:
    return _conv(node, shapes, weights=3)


def _conv_transpose(node: Any, shapes: Shapes) -> int:
    kernel = shapes[node.input[1]]  # (in, out / groups, …): each input meets all of its row
    return math.prod(kernel[1:]) * math.prod(shapes[node.input[0]])


def _gemm(node: Any, shapes: Shapes) -> int:
    inner = shapes[node.input[0]][0 if attribute(node, "transA", 0) else 1]
    return inner * math.prod(shapes[node.output[0]])


def _matmul(node: Any, shapes: Shapes) -> int:
    return shapes[node.input[0]][-1] * math.prod(shapes[node.output[0]])


def _einsum(node: Any, shapes: Shapes) -> int:
    equation = attribute(node, "equation").decode().replace(" ", "")
    if "." in equation:
        return 0
    sizes: dict[str, int] = {}
    for letters, name in zip(equation.split("->")[0].split(","), node.input, strict=True):
        sizes |= dict(zip(letters, shapes[name], strict=True))
    return math.prod(sizes.values())


_COUNTS: dict[str, Callable[[Any, Shapes], int]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "FusedConv": _conv,
    "QLinearConv": _qlinear_conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Einsum": _einsum,
}
