"""Nodes that cutpoint adds to a graph, and pools' operations written in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from cutpoint.base.ops import Axes

Shape = tuple[int | None, ...]


class Builder:
    """Collects nodes and constants under names the network does not use.

    Parameters
    ----------
    opset : int
        Version of ONNX's operators the network is written in; 7 or later.
    taken : set of str
        Names the network uses.
    place : str
        Sets the names of two builders of one graph apart.
    """

    def __init__(self, opset: int, taken: set[str], place: str) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = f"cutpoint_{place}"
        while any(name.startswith(self._prefix) for name in taken):
            self._prefix += "_"

    def name(self, text: str) -> str:
        """Return a name for `text` that the network does not use."""
        return f"{self._prefix}/{text}"

    def add(self, kind: str, *inputs: str, result: str = "", **attributes: Any) -> str:
        """Append a node; return the name of its output, `result` if that is given."""
        output = result or self.name(f"{kind}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, dtype: str = "float32") -> str:
        """Return the name of a constant."""
        name = self.name(f"constant_{len(self.constants)}")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def cast(self, name: str, dtype: str, result: str = "") -> str:
        """Append a conversion to the NumPy type `dtype`."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", name, result=result, to=kind)


@dataclass(frozen=True)
class Value:
    """A tensor of a graph that is being built."""

    name: str
    shape: Shape


class OnnxOps:
    """Pools' operations; each appends a node of the network's own opset."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def mean(self, x: Value, axes: Axes) -> Value:
        return self._reduce("ReduceMean", x, axes)

    def max(self, x: Value, axes: Axes) -> Value:
        return self._reduce("ReduceMax", x, axes)

    def at_least(self, x: Value, low: float) -> Value:
        if self._builder.opset < 11:
            return Value(self._builder.add("Clip", x.name, min=low), x.shape)
        return self._with_constant("Clip", x, low)

    def power(self, x: Value, exponent: float) -> Value:
        return self._with_constant("Pow", x, exponent)

    def take(self, x: Value, axis: int, index: int) -> Value:
        place = self._builder.constant(index, "int64")
        return Value(
            self._builder.add("Gather", x.name, place, axis=axis), _without(x.shape, (axis,))
        )

    def slice(self, x: Value, axis: int, start: int, stop: int) -> Value:
        shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
        builder = self._builder
        if builder.opset < 10:  # where they became inputs
            name = builder.add("Slice", x.name, starts=(start,), ends=(stop,), axes=(axis,))
            return Value(name, shape)
        constants = (builder.constant((number,), "int64") for number in (start, stop, axis))
        return Value(builder.add("Slice", x.name, *constants), shape)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        first = xs[0].shape
        size = sum(int(x.shape[axis] or 0) for x in xs)
        name = self._builder.add("Concat", *(x.name for x in xs), axis=axis)
        return Value(name, (*first[:axis], size, *first[axis + 1 :]))

    def permute(self, x: Value, order: Axes) -> Value:
        shape = tuple(x.shape[axis] for axis in order)
        return Value(self._builder.add("Transpose", x.name, perm=order), shape)

    def reshape(self, x: Value, shape: Sequence[int | None]) -> Value:
        sizes = self._builder.constant((-1, *(size or 0 for size in shape)), "int64")  # 0: as it is
        return Value(self._builder.add("Reshape", x.name, sizes), (None, *shape))

    def matmul(self, x: Value, y: Value) -> Value:
        name = self._builder.add("MatMul", x.name, y.name)
        return Value(name, (*x.shape[:-1], y.shape[-1]))

    def scale(self, x: Value, factor: float) -> Value:
        return self._with_constant("Mul", x, factor)

    def add(self, x: Value, y: Value) -> Value:
        return Value(self._builder.add("Add", x.name, y.name), x.shape)

    def multiply(self, x: Value, y: Value) -> Value:
        return Value(self._builder.add("Mul", x.name, y.name), x.shape)

    def where(self, mask: Value, x: Value, otherwise: float) -> Value:
        builder = self._builder
        rest = builder.constant(otherwise)
        is_valid = builder.cast(mask.name, "bool")
        if builder.opset >= 9:
            return Value(builder.add("Where", is_valid, x.name, rest), x.shape)
        # Before there was an operator for it; x must be finite.
        is_padding = builder.cast(builder.add("Not", is_valid), "float32")
        kept = builder.add("Mul", x.name, mask.name)
        return Value(builder.add("Add", kept, builder.add("Mul", is_padding, rest)), x.shape)

    def running_sum(self, x: Value) -> Value:
        size = int(x.shape[1] or 0)
        # As a product: the operator for it came with opset 11.
        upper = self._builder.constant(np.triu(np.ones((size, size))))
        return Value(self._builder.add("MatMul", x.name, upper), x.shape)

    def copy(self, x: Value) -> Value:
        return x  # nothing in ONNX works in place

    def _with_constant(self, kind: str, x: Value, number: float) -> Value:
        return Value(self._builder.add(kind, x.name, self._builder.constant(number)), x.shape)

    def _reduce(self, kind: str, x: Value, axes: Axes) -> Value:
        builder, shape = self._builder, _without(x.shape, axes)
        if builder.opset < 18:  # where axes became an input
            return Value(builder.add(kind, x.name, axes=axes, keepdims=0), shape)
        places = builder.constant(axes, "int64")
        return Value(builder.add(kind, x.name, places, keepdims=0), shape)


def _without(shape: Shape, axes: Axes) -> Shape:
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def tensor_info(name: str, dtype: str, shape: Shape) -> Any:
    """Return the declaration of an input or output; None is the batch, or another free size."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    free = ("batch", *(f"free_{axis}" for axis in range(1, len(shape))))
    sizes = [free[axis] if size is None else size for axis, size in enumerate(shape)]
    return helper.make_tensor_value_info(name, kind, sizes)
