"""Pools' operations, in Keras' own: they run eagerly and in a traced graph, on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from cutpoint.base.ops import Axes, kept_sizes


class KerasOps:
    """Backend tensors."""

    def mean(self, x: Any, axes: Axes) -> Any:
        return ops.mean(x, axis=axes)

    def max(self, x: Any, axes: Axes) -> Any:
        return ops.max(x, axis=axes)

    def at_least(self, x: Any, low: float) -> Any:
        return ops.maximum(x, low)

    def power(self, x: Any, exponent: float) -> Any:
        return ops.power(x, exponent)

    def take(self, x: Any, axis: int, index: int) -> Any:
        return ops.take(x, index, axis=axis)

    def slice(self, x: Any, axis: int, start: int, stop: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    def concat(self, xs: Sequence[Any], axis: int) -> Any:
        return ops.concatenate(xs, axis)

    def permute(self, x: Any, order: Axes) -> Any:
        return ops.transpose(x, order)

    def reshape(self, x: Any, shape: Sequence[int | None]) -> Any:
        sizes = kept_sizes(ops.shape(x), shape) if None in shape else (-1, *shape)
        return ops.reshape(x, sizes)

    def matmul(self, x: Any, y: Any) -> Any:
        return ops.matmul(x, y)

    def scale(self, x: Any, factor: float) -> Any:
        return ops.multiply(x, factor)

    def add(self, x: Any, y: Any) -> Any:
        return ops.add(x, y)

    def multiply(self, x: Any, y: Any) -> Any:
        return ops.multiply(x, y)

    def where(self, mask: Any, x: Any, otherwise: float) -> Any:
        return ops.where(mask > 0, x, ops.cast(otherwise, x.dtype))

    def running_sum(self, x: Any) -> Any:
        return ops.cumsum(x, axis=1)

    def copy(self, x: Any) -> Any:
        return ops.copy(x)


KERAS = KerasOps()
