"""Cut an ``nn.Module`` at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cutpoint.base.contracts import Cut
from cutpoint.base.spec import BackboneSpec, Constants, Preprocess, TapSpec
from cutpoint.base.types import Array, Batch, Features, checked_batch
from cutpoint.networks.frameworks.inputs import mask_of_tap
from cutpoint.networks.frameworks.torch.convert import CONVERTERS
from cutpoint.networks.frameworks.torch.fusion import has_norms
from cutpoint.networks.frameworks.torch.inputs import Calling, Given, example_input, input_layers
from cutpoint.networks.frameworks.torch.ops import TORCH
from cutpoint.networks.frameworks.torch.reader import TapReader
from cutpoint.networks.frameworks.torch.weights import bytes_of
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool


class TorchCut:
    """A truncated, frozen network with its pools.

    Parameters
    ----------
    network : nn.Module
        Left as it is: the cut works on its own copy of the module tree, which shares the weights
        it needs and drops the rest.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Mean and standard deviation are applied in the graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        The network's; says how each tap's axes are laid out.
    constants : Constants
        What its other arguments are given.
    """

    why_native = ""

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        taps: Sequence[TapSpec],
        table: LayerTable,
        constants: Constants = (),
    ) -> None:
        self.taps = tuple(taps)
        self.inputs = preprocess.inputs
        self.module = _CutModule(network, preprocess, self.taps, table, constants).eval()
        # Without norms to fold it would gain nothing: ViT-S/16, ConvNeXt-Atto within 8 % of native.
        faster = ("torch",) if has_norms(self.module) else ()
        self.converts_to: tuple[str, ...] = ("openvino", *faster)

    def __call__(self, batch: Batch | Array) -> Features:
        """Return features of a batch.

        Parameters
        ----------
        batch : mapping of input → array of shape (n_items, …)
            As `inputs` says; of one input its array will do.

        Returns
        -------
        features : dict of tap name → float32 array of shape (n_items, …)
        """
        arrays = checked_batch(batch, self.inputs).values()
        with torch.inference_mode():
            tensors = (torch.from_numpy(np.require(x, requirements=["C", "W"])) for x in arrays)
            outputs = self.module(*tensors)
        names = (tap.name for tap in self.taps)
        return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        made = CONVERTERS[engine](self.module, self.inputs)
        if engine != "torch":
            return made
        fused = copy.copy(self)
        fused.module = made
        return fused

    def state_sha256(self) -> str:
        """Digest of the names and bytes of all weights and statistics held."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(bytes_of(tensor))
        return digest.hexdigest()


def make_cut(network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable) -> Cut:
    """Return `network` cut at `taps`."""
    return TorchCut(network, spec.preprocess, taps, table, spec.constants)


class _CutModule(nn.Module):
    """Prepared batch, its inputs in their order → tuple of pooled taps."""

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess,
        taps: tuple[TapSpec, ...],
        table: LayerTable,
        constants: Constants,
    ) -> None:
        super().__init__()
        self.prepare = input_layers(preprocess)
        self.names = tuple(preprocess.inputs)
        self.taps = taps
        self.layouts = {tap.layer: table[tap.layer].layout for tap in taps}
        self.masks = {t.layer: mask_of_tap(table[t.layer], preprocess.inputs) for t in taps}
        layers = list(self.layouts)
        call = Calling(network, preprocess, constants)
        item = example_input(preprocess)
        self.reader = TapReader(network, layers, item, call, self._pooled)

    def forward(self, *batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        layers = zip(self.names, self.prepare, batch, strict=True)
        found = self.reader({name: layer(each) for name, layer, each in layers})
        return tuple(found[tap.layer][tap.pool] for tap in self.taps)

    def _pooled(
        self, layer: str, activation: torch.Tensor, given: Given
    ) -> dict[str, torch.Tensor]:
        taps = [tap for tap in self.taps if tap.layer == layer]
        single = activation.float()  # sums and powers overflow in half precision
        mask = given[self.masks[layer]].float() if self.masks[layer] else None
        layout = self.layouts[layer]
        return {
            tap.pool: apply_pool(tap.pool, single, layout, TORCH, mask, tap.revision).float()
            for tap in taps
        }
