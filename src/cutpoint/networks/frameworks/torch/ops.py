"""Pools' operations on tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cutpoint.base.ops import Axes, kept_sizes


class TorchOps:
    """Tensors; also while they are traced."""

    def mean(self, x: torch.Tensor, axes: Axes) -> torch.Tensor:
        return x.mean(axes)

    def max(self, x: torch.Tensor, axes: Axes) -> torch.Tensor:
        return x.amax(axes)

    def at_least(self, x: torch.Tensor, low: float) -> torch.Tensor:
        return x.clamp(min=low)

    def power(self, x: torch.Tensor, exponent: float) -> torch.Tensor:
        return x**exponent

    def take(self, x: torch.Tensor, axis: int, index: int) -> torch.Tensor:
        return x.select(axis, index)

    def slice(self, x: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
        return x.narrow(axis, start, stop - start)

    def concat(self, xs: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
        return torch.cat(tuple(xs), axis)

    def permute(self, x: torch.Tensor, order: Axes) -> torch.Tensor:
        return x.permute(order)

    def reshape(self, x: torch.Tensor, shape: Sequence[int | None]) -> torch.Tensor:
        sizes = kept_sizes(x.shape, shape)[1:] if None in shape else shape
        return x.reshape(-1, *sizes)

    def matmul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y

    def scale(self, x: torch.Tensor, factor: float) -> torch.Tensor:
        return x * factor

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y

    def multiply(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * y

    def where(self, mask: torch.Tensor, x: torch.Tensor, otherwise: float) -> torch.Tensor:
        return torch.where(mask > 0, x, otherwise)

    def running_sum(self, x: torch.Tensor) -> torch.Tensor:
        return x.cumsum(1)

    def copy(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone()


TORCH = TorchOps()
