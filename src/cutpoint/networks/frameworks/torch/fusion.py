"""Fold batch normalisation into the convolution before it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cutpoint.networks.frameworks.torch.convolutions import convolutions, own_weight

Pair = tuple[Any, Any]  # modules, whose attributes are typed as anything they hold
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def has_norms(module: nn.Module) -> bool:
    """Say whether there are norms that may be folded; `pairs` finds out which."""
    return next(_norms(module), None) is not None


def pairs(module: nn.Module, item: Sequence[torch.Tensor]) -> list[Pair]:
    """Return the convolutions and norms of `module` of which each two may become one.

    Parameters
    ----------
    module : nn.Module
        In inference mode.
    item : sequence of tensors
        An example of what it takes.

    Notes
    -----
    One pass is watched below Python, where each operation shows the very tensors it reads. A pair
    is one convolution of a weight and one norm by running statistics, neither run again in the
    pass, where no other operation reads what the convolution gave; a tap on it is such another. So
    nothing is concluded from names or order, and no graph need be captured. Should other items take
    other ways through the network, it is for the parity gate to find out.
    """
    # Not in inference mode, which would show compound operations instead of these.
    with torch.no_grad(), _Watch() as watch:
        module(*item)
    return list(watch.pairs(module))


def fuse(pair: Pair) -> None:
    """Give the convolution the norm's scale and shift, and leave the norm only what follows them.

    Both modules stay where they are, with their hooks, since a parent may reach them by any way.
    Their tensors are replaced and not written to: others may share them.
    """
    convolution, norm = pair
    weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.weight, convolution.bias = weight, bias
    norm.__dict__["forward"] = _rest_of(norm)


def _rest_of(norm: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what a norm computes beside the normalisation."""
    if type(norm) in _NORMS:
        return lambda x: x
    return lambda x: norm.act(norm.drop(x))


def _norms(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the norms of which `_rest_of` is known; subclasses may compute anything.

    timm's own can only be there if timm is imported already.
    """
    timm = sys.modules.get("timm")
    known = _NORMS if timm is None else (*_NORMS, timm.layers.BatchNormAct2d)
    return (each for each in module.modules() if type(each) in known)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch publishes no types
    """Notes which tensors are read by which operation, and what convolutions give."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same
        self._given: list[tuple[torch.Tensor, torch.Tensor]] = []  # kept, so that no id comes again
        self._readers: dict[int, list[set[int]]] = {}
        self._times: Counter[int] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        read = {id(leaf) for leaf in tree_leaves((args, kwargs)) if _is_tensor(leaf)}
        self._times.update(read)
        for one in read & self._readers.keys():
            self._readers[one].append(read)
        if func is torch.ops.aten.convolution.default and not args[6]:  # not transposed
            self._given.append((args[1], output))
            self._readers[id(output)] = []
        return output

    def pairs(self, module: nn.Module) -> Iterator[Pair]:
        """Yield the convolutions of `module` whose output one norm alone has read."""
        by_weight = {id(own_weight(each)): each for each in convolutions(module)}
        norms = {id(each.running_mean): each for each in _norms(module)}
        for weight, output in self._given:
            readers = self._readers[id(output)]
            found = [norms[one] for read in readers for one in read if one in norms]
            once = self._times[id(weight)] == 1 and len(readers) == len(found) == 1
            if once and id(weight) in by_weight and self._times[id(found[0].running_mean)] == 1:
                yield by_weight[id(weight)], found[0]


def _is_tensor(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor)
