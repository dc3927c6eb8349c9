"""Module trees: copy one, run one up to a layer, drop what comes after."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from cutpoint.base.errors import UsageError

M = TypeVar("M", bound=nn.Module)


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


def clone_tree(module: M, frozen: bool = False) -> M:
    """Copy the modules and all that refers to them, share the tensors.

    A module used twice stays one module, and lists of modules or bound methods of one refer to the
    copies. `frozen`, the copy's parameters take no gradient and share memory alone.

    Raises
    ------
    UsageError
        If something the network holds, such as a lock, can't be copied.
    """
    held = [tree_leaves(list(vars(each).values())) for each in module.modules()]
    tensors = [leaf for leaves in held for leaf in leaves if isinstance(leaf, torch.Tensor)]
    tensors += [*module.parameters(), *module.buffers()]
    shared = {id(tensor): _without_gradient(tensor) if frozen else tensor for tensor in tensors}
    try:
        return copy.deepcopy(module, shared)
    except Exception as error:  # whatever the network's own attributes meet
        raise UsageError(
            f"The modules of a {type(module).__name__} can't be copied.",
            f"It raised {type(error).__name__}: {error}",
            "A network that copy.deepcopy can copy: a cut works on a copy, which shares weights.",
            "Try it with:  copy.deepcopy(network)",
        ) from error


def _without_gradient(tensor: torch.Tensor) -> torch.Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=False)
    return tensor.detach()


@contextmanager
def refused_in(network: nn.Module) -> Iterator[None]:
    """Raise `UsageError` if this thread calls a module of `network`: its copy is to run alone.

    Functions can't be copied, so what a lambda refers to is still the original.
    """
    thread = threading.get_ident()

    def refuse(name: str) -> Callable[..., None]:
        def enter(module: nn.Module, inputs: Any) -> None:
            if threading.get_ident() == thread:
                raise UsageError(
                    f"A {type(network).__name__} can't be cut: its copy calls the original "
                    f'"{name}".',
                    "It does so through a lambda or another function that remembers the module.",
                    "A network that reaches its modules through self, methods or lists.",
                    "Write methods in place of lambdas:  def step(self, x): return self.conv(x)",
                )

        return enter

    handles = [
        module.register_forward_pre_hook(refuse(name)) for name, module in network.named_modules()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def calls(
    network: nn.Module, run: Callable[[nn.Module], Any], until: Iterable[str] = ()
) -> Counter[nn.Module]:
    """Return how often a pass, which `run` makes, calls each module, up to the last of `until`.

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
            run(network)
    finally:
        for handle in handles:
            handle.remove()
    return called


def drop_after(network: nn.Module, layers: Iterable[str], run: Callable[[nn.Module], Any]) -> None:
    """Drop from `network`, in place, what runs only after the deepest of `layers`.

    A module is dropped if a whole pass calls it, but not before the deepest tap, and nothing in it
    is called before either. What no pass calls, such as lists of modules or weights that their
    parent reads itself, stays.
    """
    early = calls(network, run, layers).keys()
    late = calls(network, run).keys() - early
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in late and early.isdisjoint(child.modules()):
                setattr(parent, name, nn.Identity())
