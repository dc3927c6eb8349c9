"""Run a network up to its deepest tap and read all taps on the way."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cutpoint.networks.frameworks.torch.graph import with_taps
from cutpoint.networks.frameworks.torch.modules import (
    DeepestTapReached,
    calls,
    clone_tree,
    drop_after,
    first_tensor,
    refused_in,
)


class TapReader(nn.Module):
    """What the network takes → dict of layer → what `read` makes of the activation there.

    Parameters
    ----------
    network : nn.Module
        Left as it is: the reader works on its own copy of the module tree, which shares the
        weights it needs and drops the rest, in inference mode.
    layers : sequence of str
        Paths of modules, or names of nodes of the network's graph.
    item : tensor
        An example of what the network takes.
    read : callable
        (layer, activation, mask) → anything. Called on the spot: an in-place operation further
        on can't reach what it returns, as long as that is no view.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        item: torch.Tensor,
        read: Callable[[str, torch.Tensor, torch.Tensor | None], Any],
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.network, places = _with_places(network, self.layers, item)
        # Graphs are captured with one input alone.
        self._attends = "attention_mask" in inspect.signature(self.network.forward).parameters
        self.network.eval()
        drop_after(self.network, places.values(), item)
        self._pass = _Pass()
        for layer, place in places.items():
            hook = _Hook(self._pass, layer, len(self.layers), read)
            self.network.get_submodule(place).register_forward_hook(hook)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> dict[str, Any]:
        """Return what is read; `mask`, (n_items, n_tokens), is 1 where a token is valid."""
        self._pass.found, self._pass.mask = {}, mask
        told = {} if mask is None or not self._attends else {"attention_mask": mask}
        with suppress(DeepestTapReached):
            self.network(x, **told)
        found: dict[str, Any] = self._pass.found
        self._pass.found, self._pass.mask = {}, None
        return found


class _Pass(threading.local):
    """What one pass of one thread has read so far; copies and files of it start anew."""

    found: dict[str, Any]
    mask: torch.Tensor | None

    def __reduce__(self) -> tuple[type[_Pass], tuple[()]]:
        return _Pass, ()


@dataclass(frozen=True)
class _Hook:
    """Reads one layer, and ends the pass at the last one. A class, so that it can be copied."""

    current: _Pass
    layer: str
    n_layers: int
    read: Callable[[str, torch.Tensor, torch.Tensor | None], Any]

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        activation = first_tensor(output)
        assert activation is not None
        self.current.found[self.layer] = self.read(self.layer, activation, self.current.mask)
        if len(self.current.found) == self.n_layers:
            raise DeepestTapReached


def _with_places(
    network: nn.Module, layers: Sequence[str], item: torch.Tensor
) -> tuple[nn.Module, dict[str, str]]:
    """Return a copy of `network` in which each layer is the output of one call of one module.

    Paths of modules that are called once are that already, in any network; all else needs the
    network's graph.
    """
    clone = clone_tree(network)
    modules = dict(clone.named_modules(remove_duplicate=False))
    times = _times_called(network, item)
    if all(layer in modules and times[layer] == 1 for layer in layers):
        return clone, {layer: layer for layer in layers}
    return with_taps(network, layers)


def _times_called(network: nn.Module, item: torch.Tensor) -> dict[str, int]:
    clone = clone_tree(network).eval()
    with refused_in(network):
        times = calls(clone, item)
    return {name: times[module] for name, module in clone.named_modules(remove_duplicate=False)}
