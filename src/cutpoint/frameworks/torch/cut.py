"""Cut an ``nn.Module`` at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from cutpoint.frameworks.torch.inputs import InputLayer, example_input
from cutpoint.frameworks.torch.ops import TORCH
from cutpoint.layer_table import LayerTable
from cutpoint.pooling import apply_pool
from cutpoint.spec import BackboneSpec, Preprocess, TapSpec
from cutpoint.types import Batch, Cut, Features


class _DeepestTapReached(Exception):
    """Ends the forward pass; as cheap as surgery on the graph and works for any module."""


class TorchCut:
    """A truncated, frozen network with its pools.

    Parameters
    ----------
    network : nn.Module
        Left as it is: the cut works on its own copy of the module tree, which shares the weights
        it needs and drops the rest.
    preprocess : PreprocessSpec or ArraySpec
        Mean and standard deviation are applied in the graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        Of the network; says how each tap's axes are laid out.
    """

    converts_to: tuple[str, ...] = ("openvino",)
    why_native = ""

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        taps: Sequence[TapSpec],
        table: LayerTable,
    ) -> None:
        self.taps = tuple(taps)
        self.input_shape = preprocess.array_shape
        self.input_dtype = preprocess.dtype
        layouts = {tap.layer: table[tap.layer].layout for tap in taps}
        self.module = _CutModule(network, preprocess, self.taps, layouts).eval()

    def __call__(self, batch: Batch) -> Features:
        """Return features of a batch.

        Parameters
        ----------
        batch : array of shape (n_items, *input_shape)
            Images uint8 RGB, 0–255.

        Returns
        -------
        features : dict of tap name → float32 array of shape (n_items, …)
        """
        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(np.require(batch, requirements=["C", "W"])))
        names = (tap.name for tap in self.taps)
        return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        from cutpoint.frameworks.torch.convert import CONVERTERS

        return CONVERTERS[engine](self)

    def state_sha256(self) -> str:
        """Digest of the names and bytes of all weights and statistics held."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()


def make_cut(network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable) -> Cut:
    """Return `network` cut at `taps`."""
    return TorchCut(network, spec.preprocess, taps, table)


class _CutModule(nn.Module):
    """Prepared batch → tuple of pooled taps."""

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        taps: tuple[TapSpec, ...],
        layouts: dict[str, str],
    ) -> None:
        super().__init__()
        self.prepare = InputLayer(preprocess)
        self.taps = taps
        self.layouts = layouts
        layers = list(dict.fromkeys(tap.layer for tap in taps))
        self.network = _truncated(network, layers, example_input(preprocess))
        self._pass = threading.local()  # what one pass of one thread has read so far
        for layer in layers:
            self.network.get_submodule(layer).register_forward_hook(self._reader(layer))

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self._pass.pooled, self._pass.waiting = {}, {tap.layer for tap in self.taps}
        with suppress(_DeepestTapReached):
            self.network(self.prepare(batch))
        pooled = self._pass.pooled
        return tuple(pooled.pop(tap.name) for tap in self.taps)

    def _reader(self, layer: str) -> Callable[..., None]:
        def read(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            # Pooled here and now: an in-place operation further on can't reach the result.
            for tap in self.taps:
                if tap.layer == layer:
                    pooled = apply_pool(tap.pool, output, self.layouts[layer], TORCH)
                    self._pass.pooled[tap.name] = pooled.float()
            self._pass.waiting.discard(layer)
            if not self._pass.waiting:
                raise _DeepestTapReached

        return read


def _truncated(network: nn.Module, layers: Sequence[str], item: torch.Tensor) -> nn.Module:
    """Return a copy of the module tree without what runs only after the deepest of `layers`.

    A module is dropped if a whole pass calls it, but not before the deepest tap, and nothing in it
    is called before either. What no pass calls, such as lists of modules or weights that their
    parent reads itself, stays.
    """
    clone = _clone_tree(network, {})
    clone.eval()
    early = _modules_called(clone, set(layers), item)
    late = _modules_called(clone, set(), item) - early
    for parent in list(clone.modules()):
        for name, child in list(parent.named_children()):
            if child in late and early.isdisjoint(child.modules()):
                setattr(parent, name, nn.Identity())
    return clone


def _clone_tree(module: nn.Module, done: dict[int, nn.Module]) -> nn.Module:
    """Copy the modules, share the tensors; a module used twice stays one module."""
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
        name: None if child is None else _clone_tree(child, done)
        for name, child in module._modules.items()
    }
    return clone


def _modules_called(network: nn.Module, layers: set[str], item: torch.Tensor) -> set[nn.Module]:
    """Return the modules called before the last of `layers` ends; all called, if there are none."""
    called: set[nn.Module] = set()
    waiting = set(layers)
    handles = []

    def on_leave(name: str) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            waiting.discard(name)
            if not waiting:
                raise _DeepestTapReached

        return leave

    for module in network.modules():
        handles.append(module.register_forward_pre_hook(lambda module, inputs: called.add(module)))
    for name in layers:
        handles.append(network.get_submodule(name).register_forward_hook(on_leave(name)))
    try:
        with suppress(_DeepestTapReached), torch.inference_mode():
            network(item)
    finally:
        for handle in handles:
            handle.remove()
    return called
