"""Module trees: copy one, run one up to a layer, drop what comes after."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn


class DeepestTapReached(Exception):
    """Ends the forward pass; as cheap as surgery on the graph and works for any module."""


def first_tensor(output: Any) -> torch.Tensor | None:
    """Return a layer's output, or the first of several: transformers' blocks give tuples."""
    while not isinstance(output, torch.Tensor):
        several = list(output.values()) if isinstance(output, Mapping) else output
        if not isinstance(several, (tuple, list)) or not several:
            return None
        output = several[0]
    return output


def clone_tree(module: nn.Module) -> nn.Module:
    """Copy the modules, share the tensors; a module used twice stays one module."""
    return _clone(module, {})


def _clone(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    if id(module) in done:
        return done[id(module)]
    clone = copy.copy(module)
    done[id(module)] = clone
    fields = clone.__dict__
    for name in ("_parameters", "_buffers"):
        fields[name] = dict(fields[name])
    for name in [name for name in fields if name.endswith("_hooks")]:
        fields[name] = OrderedDict(fields[name])
    fields["_modules"] = {
        name: None if child is None else _clone(child, done)
        for name, child in module._modules.items()
    }
    return clone


def calls(network: nn.Module, item: torch.Tensor, until: Iterable[str] = ()) -> Counter[nn.Module]:
    """Return how often a pass calls each module, up to the end of the last of `until`.

    `network` is in inference mode; without `until` the whole pass is run.
    """
    called: Counter[nn.Module] = Counter()
    waiting = set(until)
    handles = []

    def on_leave(name: str) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            waiting.discard(name)
            if not waiting:
                raise DeepestTapReached

        return leave

    for module in network.modules():
        handles.append(
            module.register_forward_pre_hook(lambda module, inputs: called.update([module]))
        )
    for name in waiting:
        handles.append(network.get_submodule(name).register_forward_hook(on_leave(name)))
    try:
        with suppress(DeepestTapReached), torch.inference_mode():
            network(item)
    finally:
        for handle in handles:
            handle.remove()
    return called


def drop_after(network: nn.Module, layers: Iterable[str], item: torch.Tensor) -> None:
    """Drop from `network`, in place, what runs only after the deepest of `layers`.

    A module is dropped if a whole pass calls it, but not before the deepest tap, and nothing in it
    is called before either. What no pass calls, such as lists of modules or weights that their
    parent reads itself, stays.
    """
    early = calls(network, item, layers).keys()
    late = calls(network, item).keys() - early
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in late and early.isdisjoint(child.modules()):
                setattr(parent, name, nn.Identity())
