"""Pools' operations in TensorFlow's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cutpoint.base.ops import Axes, kept_sizes
from cutpoint.networks.runtimes.tensorflow import import_tensorflow

tf = import_tensorflow()


class TensorFlowOps:
    """TensorFlow tensors, while a graph is traced."""

    def mean(self, x: Any, axes: Axes) -> Any:
        return tf.reduce_mean(x, axes)

    def max(self, x: Any, axes: Axes) -> Any:
        return tf.reduce_max(x, axes)

    def at_least(self, x: Any, low: float) -> Any:
        return tf.maximum(x, low)

    def power(self, x: Any, exponent: float) -> Any:
        return tf.pow(x, exponent)

    def take(self, x: Any, axis: int, index: int) -> Any:
        return tf.gather(x, index, axis=axis)

    def slice(self, x: Any, axis: int, start: int, stop: int) -> Any:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    def concat(self, xs: Sequence[Any], axis: int) -> Any:
        return tf.concat(xs, axis)

    def permute(self, x: Any, order: Axes) -> Any:
        return tf.transpose(x, order)

    def reshape(self, x: Any, shape: Sequence[int | None]) -> Any:
        sizes = kept_sizes(tf.shape(x), shape) if None in shape else (-1, *shape)
        return tf.reshape(x, sizes)

    def matmul(self, x: Any, y: Any) -> Any:
        return tf.matmul(x, y)

    def scale(self, x: Any, factor: float) -> Any:
        return x * factor

    def add(self, x: Any, y: Any) -> Any:
        return x + y

    def multiply(self, x: Any, y: Any) -> Any:
        return x * y

    def where(self, mask: Any, x: Any, otherwise: float) -> Any:
        return tf.where(mask > 0, x, tf.cast(otherwise, x.dtype))

    def running_sum(self, x: Any) -> Any:
        return tf.cumsum(x, axis=1)

    def copy(self, x: Any) -> Any:
        return tf.identity(x)


TENSORFLOW = TensorFlowOps()
