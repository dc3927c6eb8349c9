"""Prepared batch → what the network takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cutpoint.base.contracts import InGraph
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Constants, Preprocess
from cutpoint.base.types import shape_text
from cutpoint.items.kinds import in_graph
from cutpoint.networks.constants import constant_array
from cutpoint.networks.frameworks.inputs import FREE

Given = dict[str, torch.Tensor]
"""What a network is given, by the names of a batch, the first in its first place."""


def example_input(preprocess: Preprocess) -> Given:
    """Return one item of zeros as the network takes it; all places of masks count."""
    found = ready(input_layers(preprocess), preprocess, blank(preprocess, 1))
    inputs = preprocess.inputs
    return {n: torch.full_like(each, bool(inputs[n].mask_of)) for n, each in found.items()}


def blank(preprocess: Preprocess, n_items: int, free: int = FREE) -> Given:
    """Return a prepared batch of zeros."""
    return {
        name: torch.full(
            (n_items, *each.sized(free)), bool(each.mask_of), dtype=getattr(torch, each.dtype)
        )
        for name, each in preprocess.inputs.items()
    }


def random_input(preprocess: Preprocess, n_items: int, free: int = FREE) -> Given:
    """Return items of noise as the network takes them; of integers, which name things, zeros."""
    layers = input_layers(preprocess)
    item = ready(layers, preprocess, blank(preprocess, n_items, free))
    masks = {name for name, each in preprocess.inputs.items() if each.mask_of}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(each.shape, generator=generator)
        if each.is_floating_point() and name not in masks
        else torch.full_like(each, name in masks)
        for name, each in item.items()
    }


def ready(layers: nn.ModuleList, preprocess: Preprocess, batch: Given) -> Given:
    """Return a prepared batch as the network takes it."""
    names = preprocess.inputs
    return {name: layer(batch[name]) for name, layer in zip(names, layers, strict=True)}


class Calling:
    """How a network is called: which names it knows, and what its other arguments are given.

    The first input is its first argument, if no argument bears its name; the others are passed by
    name. A mask that it has no argument for is for pools alone.

    Parameters
    ----------
    network : nn.Module
    preprocess : Preprocess
    constants : Constants
    """

    def __init__(
        self, network: nn.Module, preprocess: Preprocess, constants: Constants = ()
    ) -> None:
        forward = getattr(network, "forward", network)  # a script has none
        parameters = inspect.signature(forward).parameters
        is_open = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        inputs = preprocess.inputs
        places = list(parameters)
        self._first = next((n for n in list(inputs)[:1] if n not in places[1:]), "")
        self._constants = {name: _constant(name, value) for name, value in constants}
        self.masks = tuple(name for name, each in inputs.items() if each.mask_of)
        known = {n for n in (*inputs, *self._constants) if is_open or n in parameters}
        self.named = tuple(n for n in inputs if n in known and n != self._first)
        wanted = {n for n in inputs if not inputs[n].mask_of} | self._constants.keys()
        strange = sorted(wanted - known - {self._first})
        if strange:
            raise _no_argument(network, strange[0], list(parameters))

    @property
    def is_plain(self) -> bool:
        """Whether the network is given one tensor and nothing else."""
        return not self.named and not self._constants

    @property
    def has_constants(self) -> bool:
        """Whether inputs are given that are no items'."""
        return bool(self._constants)

    def __call__(self, network: nn.Module, given: Mapping[str, torch.Tensor]) -> Any:
        named = {name: given[name] for name in self.named if name in given}
        first = [given[self._first]] if self._first else []
        return network(*first, **named, **self._constants)


def _constant(name: str, value: str | int | float) -> Any:
    if not isinstance(value, str):
        return value
    return torch.from_numpy(constant_array(name, value, (), "float32"))


def _no_argument(network: nn.Module, name: str, parameters: list[str]) -> UsageError:
    kind = type(network).__name__
    return UsageError(
        f'The network of class {kind} has no input "{name}".',
        f"Its forward takes: {', '.join(parameters) or 'nothing'}.",
        "Preprocessing and constants by the names of its arguments.",
        f"Look at it with:  inspect.signature({kind}.forward)",
    )


def cannot_take(network: nn.Module, given: Given, name: str, error: Exception) -> UsageError:
    """Return the error for a network that can't take `given`, which is what it would be fed."""
    item = next(iter(given.values()))
    shown = " and ".join(
        f"{shape_text(tuple(each.shape[1:]))} {_word(each)}" for each in given.values()
    )
    kinds = {parameter.dtype for parameter in network.parameters()} - {item.dtype}
    other = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
    type_next = "Try it with:  network(batch)"
    if isinstance(network, torch.jit.ScriptModule):
        type_next = "Load the module it was scripted from:  cp.load(network, preprocess=…)"
    elif other and item.is_floating_point():
        type_next = f"Its weights are {other}; type:  cp.load(network.float(), preprocess=…)"
    return UsageError(
        f'"{name or type(network).__name__}" can\'t be fed one item of {shown}.',
        f"It raised {type(error).__name__}: {' '.join(str(error).split())[:300]}",
        "An nn.Module that takes that alone; the shape and type are what `preprocess` says.",
        type_next,
    )


def _word(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def input_layers(preprocess: Preprocess) -> nn.ModuleList:
    """Return an `InputLayer` for each input, in their order."""
    ways = in_graph(preprocess)
    return nn.ModuleList(InputLayer(ways[name]) for name in preprocess.inputs)


class InputLayer(nn.Module):
    """Images: uint8 NHWC RGB → float NCHW, normalised, in the order of colours the weights want.

    Arrays go through as they are.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, way: InGraph) -> None:
        super().__init__()
        self.is_picture, self.order = bool(way), list(way.order)
        if self.is_picture:
            self.register_buffer("mean", torch.tensor(way.mean).view(1, -1, 1, 1))
            self.register_buffer("std", torch.tensor(way.std).view(1, -1, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if not self.is_picture:
            return batch
        images = batch.permute(0, 3, 1, 2)
        if self.order:
            images = images[:, self.order]
        return (images.float() - self.mean) / self.std
