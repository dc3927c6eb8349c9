"""How convolutions lie in memory, and what computes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def convolutions(module: nn.Module) -> Iterator[nn.Module]:
    """Yield convolutions that are not transposed, and of 1 to 3 dimensions."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return (each for each in module.modules() if isinstance(each, kinds))


def own_weight(convolution: nn.Module) -> nn.Parameter | None:
    """Return the weight; None if it is computed in each pass (weight norm, parametrisations)."""
    return convolution._parameters.get("weight")


def turn_channels_last(module: nn.Module) -> None:
    """Give 2-D convolutions weights of their own that lie channels last, as batches do."""
    for each in convolutions(module):
        weight = own_weight(each)
        if isinstance(each, nn.Conv2d) and weight is not None:
            turned = weight.detach().contiguous(memory_format=torch.channels_last)
            each.weight = nn.Parameter(turned, requires_grad=False)


def take_onednn(module: nn.Module) -> None:
    """Let oneDNN compute the convolutions that PyTorch keeps from it in one thread.

    Those of 1×1 and stride 1, of fewer than 16 items (`use_mkldnn` in ATen's Convolution.cpp). Its
    own way copies weights that lie channels last; EfficientNet-Lite0 then took 9 to 22 % longer.
    """
    onednn: Any = torch.backends.mkldnn  # torch publishes no types for it
    if not onednn.is_available():
        return
    for each in convolutions(module):
        if type(each) is nn.Conv2d and _is_pointwise(each) and each.weight.dtype == torch.float32:
            each.__dict__["_conv_forward"] = _Pointwise(each.groups)


def _is_pointwise(convolution: nn.Conv2d) -> bool:
    facts = (convolution.kernel_size, convolution.stride, convolution.padding)
    return facts == ((1, 1), (1, 1), (0, 0))


class _Pointwise:
    """In place of `Conv2d._conv_forward`. A class, so that it can be copied."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __call__(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        return torch.mkldnn_convolution(x, weight, bias, (0, 0), (1, 1), (1, 1), self.groups)
