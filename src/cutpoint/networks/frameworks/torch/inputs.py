"""Prepared batch → what the network takes."""

from __future__ import annotations

import torch
from torch import nn

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Preprocess, PreprocessSpec


def example_input(preprocess: Preprocess) -> torch.Tensor:
    """Return one item of zeros as the network takes it."""
    batch = torch.zeros(1, *preprocess.array_shape, dtype=getattr(torch, preprocess.dtype))
    found: torch.Tensor = InputLayer(preprocess)(batch)
    return torch.zeros_like(found)


def random_input(preprocess: Preprocess, n_items: int) -> torch.Tensor:
    """Return items of noise as the network takes them; of integers, which name things, zeros."""
    item = example_input(preprocess)
    shape = (n_items, *item.shape[1:])
    if not item.is_floating_point():
        return item.new_zeros(shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def cannot_take(network: nn.Module, item: torch.Tensor, name: str, error: Exception) -> UsageError:
    """Return the error for a network that can't take `item`, which is what it would be fed."""
    shape = "×".join(map(str, item.shape[1:]))
    kinds = {parameter.dtype for parameter in network.parameters()} - {item.dtype}
    other = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
    type_next = "Try it with:  network(batch)"
    if isinstance(network, torch.jit.ScriptModule):
        type_next = "Load the module it was scripted from:  cp.load(network, preprocess=…)"
    elif other and item.is_floating_point():
        type_next = f"Its weights are {other}; type:  cp.load(network.float(), preprocess=…)"
    return UsageError(
        f'The layers of "{name or type(network).__name__}" were asked for.',
        f"Fed one item of {shape} {str(item.dtype).removeprefix('torch.')}, it raised "
        f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
        "An nn.Module that takes that alone; the shape and type are what `preprocess` says.",
        type_next,
    )


class InputLayer(nn.Module):
    """Images: uint8 NHWC RGB → float NCHW, normalised, in the order of colours the weights want.

    Arrays go through as they are.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.is_image = isinstance(preprocess, PreprocessSpec)
        if isinstance(preprocess, PreprocessSpec):
            self.is_reversed = preprocess.channels == "BGR"
            self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(preprocess.std).view(1, 3, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if not self.is_image:
            return batch
        images = batch.permute(0, 3, 1, 2)
        if self.is_reversed:
            images = images.flip(1)
        return (images.float() - self.mean) / self.std
