"""The few array operations pools are written in; each framework brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Axes = tuple[int, ...]


class Ops(Protocol):
    """Operations on one kind of array. Every array has a `shape`; axis 0 is the batch."""

    def mean(self, x: Any, axes: Axes) -> Any:
        """Mean over `axes`, which are dropped."""

    def max(self, x: Any, axes: Axes) -> Any:
        """Maximum over `axes`, which are dropped."""

    def at_least(self, x: Any, low: float) -> Any:
        """Raise smaller values to `low`."""

    def power(self, x: Any, exponent: float) -> Any:
        """Element-wise power of non-negative values."""

    def take(self, x: Any, axis: int, index: int) -> Any:
        """One place along `axis`, which is dropped."""

    def slice(self, x: Any, axis: int, start: int, stop: int) -> Any:
        """Places `start` to before `stop` along `axis`, which is kept."""

    def concat(self, xs: Sequence[Any], axis: int) -> Any:
        """Several arrays, one after the other along `axis`."""

    def permute(self, x: Any, order: Axes) -> Any:
        """Axes in another order."""

    def reshape(self, x: Any, shape: Sequence[int | None]) -> Any:
        """The batch kept, the other axes of sizes `shape`; None is the size of the same axis."""

    def matmul(self, x: Any, y: Any) -> Any:
        """Matrix product of the last two axes."""

    def scale(self, x: Any, factor: float) -> Any:
        """Every value times `factor`."""

    def add(self, x: Any, y: Any) -> Any:
        """Element-wise sum; `y` is broadcast to the shape of `x`."""

    def multiply(self, x: Any, y: Any) -> Any:
        """Element-wise product; `y` is broadcast to the shape of `x`."""

    def where(self, mask: Any, x: Any, otherwise: float) -> Any:
        """`x` where `mask`, broadcast to the shape of `x`, is 1; `otherwise` where it is 0."""

    def running_sum(self, x: Any) -> Any:
        """Sums along axis 1, each with all before it."""

    def copy(self, x: Any) -> Any:
        """The same values in memory of their own, where the framework can alias them."""


class NumpyOps:
    """NumPy arrays."""

    def mean(self, x: Any, axes: Axes) -> Any:
        return np.mean(x, axis=axes)

    def max(self, x: Any, axes: Axes) -> Any:
        return np.max(x, axis=axes)

    def at_least(self, x: Any, low: float) -> Any:
        return np.maximum(x, low)

    def power(self, x: Any, exponent: float) -> Any:
        return x**exponent

    def take(self, x: Any, axis: int, index: int) -> Any:
        return np.take(x, index, axis)

    def slice(self, x: Any, axis: int, start: int, stop: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    def concat(self, xs: Sequence[Any], axis: int) -> Any:
        return np.concatenate(xs, axis)

    def permute(self, x: Any, order: Axes) -> Any:
        return np.transpose(x, order)

    def reshape(self, x: Any, shape: Sequence[int | None]) -> Any:
        return np.reshape(x, kept_sizes(np.shape(x), shape))

    def matmul(self, x: Any, y: Any) -> Any:
        return np.matmul(x, y)

    def scale(self, x: Any, factor: float) -> Any:
        return x * factor

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def multiply(self, x: Any, y: Any) -> Any:
        return x * y

    def where(self, mask: Any, x: Any, otherwise: float) -> Any:
        return np.where(mask > 0, x, np.asarray(otherwise, x.dtype))

    def running_sum(self, x: Any) -> Any:
        return np.cumsum(x, axis=1, dtype=x.dtype)

    def copy(self, x: Any) -> Any:
        return np.copy(x)


NUMPY = NumpyOps()


def kept_sizes(own: Sequence[Any], shape: Sequence[int | None]) -> tuple[Any, ...]:
    """Return the sizes of a reshaped array: the batch first, None as they are in `own`."""
    sizes = (own[axis] if size is None else size for axis, size in enumerate(shape, start=1))
    return (own[0], *sizes)


def space_axes(layout: str) -> Axes:
    """Return the axes pools run over: height and width, tokens, or time."""
    return tuple(axis for axis, letter in enumerate(layout) if letter in "HWDT")
