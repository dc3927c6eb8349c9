"""Run a network up to its deepest tap and read all taps on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cutpoint.base.errors import UsageError
from cutpoint.networks.frameworks.torch.graph import with_taps
from cutpoint.networks.frameworks.torch.inputs import Calling, Given
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
    item : dict of input → tensor
        An example of what the network takes.
    call : Calling
        How it is called.
    read : callable
        (layer, activation, given) → anything; `given` is what the network was. Called on the
        spot: an in-place operation further on can't reach what it returns, as long as that is no
        view.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        item: Given,
        call: Calling,
        read: Callable[[str, torch.Tensor, Given], Any],
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self._call = call
        self.network, places = _with_places(network, self.layers, item, call)
        self.network.eval()
        drop_after(self.network, places.values(), lambda each: call(each, item))
        self._pass = _Pass()
        for layer, place in places.items():
            hook = _Hook(self._pass, layer, len(self.layers), read)
            self.network.get_submodule(place).register_forward_hook(hook)

    def forward(self, given: Given) -> dict[str, Any]:
        """Return what is read."""
        self._pass.found, self._pass.given = {}, given
        with suppress(DeepestTapReached):
            self._call(self.network, given)
        found: dict[str, Any] = self._pass.found
        self._pass.found, self._pass.given = {}, {}
        return found


class _Pass(threading.local):
    """What one pass of one thread has read so far; copies and files of it start anew."""

    found: dict[str, Any]
    given: Given

    def __reduce__(self) -> tuple[type[_Pass], tuple[()]]:
        return _Pass, ()


@dataclass(frozen=True)
class _Hook:
    """Reads one layer, and ends the pass at the last one. A class, so that it can be copied."""

    current: _Pass
    layer: str
    n_layers: int
    read: Callable[[str, torch.Tensor, Given], Any]

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        activation = first_tensor(output)
        assert activation is not None
        self.current.found[self.layer] = self.read(self.layer, activation, self.current.given)
        if len(self.current.found) == self.n_layers:
            raise DeepestTapReached


def _with_places(
    network: nn.Module, layers: Sequence[str], item: Given, call: Calling
) -> tuple[nn.Module, dict[str, str]]:
    """Return a copy of `network` in which each layer is the output of one call of one module.

    Paths of modules that are called once are that already, in any network; all else needs the
    network's graph.
    """
    clone = clone_tree(network)
    modules = dict(clone.named_modules(remove_duplicate=False))
    times = _times_called(network, item, call)
    if all(layer in modules and times[layer] == 1 for layer in layers):
        return clone, {layer: layer for layer in layers}
    if not call.is_plain:
        raise _cannot_trace(layers)
    return with_taps(network, layers)


def _cannot_trace(layers: Sequence[str]) -> UsageError:
    return UsageError(
        f"Taps {', '.join(layers)} can't be read of a network with several inputs.",
        "Some are operations, no modules; the network's graph, in which they have names, knows one "
        "input and no attention mask.",
        "Taps that are modules.",
        "List them with:  backbone.layers()",
    )


def _times_called(network: nn.Module, item: Given, call: Calling) -> dict[str, int]:
    clone = clone_tree(network).eval()
    with refused_in(network):
        times = calls(clone, lambda each: call(each, item))
    return {name: times[module] for name, module in clone.named_modules(remove_duplicate=False)}
