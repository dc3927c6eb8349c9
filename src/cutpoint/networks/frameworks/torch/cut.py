"""Cut an ``nn.Module`` at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.spec import ArraySpec, BackboneSpec, Preprocess, TapSpec
from cutpoint.base.types import Batch, Features, check_batch
from cutpoint.networks.frameworks.torch.fusion import has_norms
from cutpoint.networks.frameworks.torch.inputs import InputLayer, example_input
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
    preprocess : PreprocessSpec or ArraySpec
        Mean and standard deviation are applied in the graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        Of the network; says how each tap's axes are laid out.
    """

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
        # Without norms to fold it would gain nothing: ViT-S/16, ConvNeXt-Atto within 8 % of native.
        faster = ("torch",) if has_norms(self.module) else ()
        self.converts_to: tuple[str, ...] = ("openvino", *faster)

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
        check_batch(batch, self.input_shape, self.input_dtype)
        with torch.inference_mode():
            outputs = self.module(torch.from_numpy(np.require(batch, requirements=["C", "W"])))
        names = (tap.name for tap in self.taps)
        return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        from cutpoint.networks.frameworks.torch.convert import CONVERTERS

        return CONVERTERS[engine](self)

    def state_sha256(self) -> str:
        """Digest of the names and bytes of all weights and statistics held."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(bytes_of(tensor))
        return digest.hexdigest()


MASKS_PADDING = True
"""Whether cuts leave the padding of token ids out; `Backbone` asks."""


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
        self.pad_id = preprocess.pad_id if isinstance(preprocess, ArraySpec) else None
        self.taps = taps
        self.layouts = layouts
        layers = list(dict.fromkeys(tap.layer for tap in taps))
        self.reader = TapReader(network, layers, example_input(preprocess), self._pooled)
        if self.pad_id is not None and isinstance(self.reader.network, fx.GraphModule):
            raise _cannot_mask(layers)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = None if self.pad_id is None else (batch != self.pad_id).long()
        found = self.reader(self.prepare(batch), mask)
        return tuple(found[tap.layer][tap.pool] for tap in self.taps)

    def _pooled(
        self, layer: str, activation: torch.Tensor, mask: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        taps = [tap for tap in self.taps if tap.layer == layer]
        layout = self.layouts[layer]
        single = activation.float()  # sums and powers overflow in half precision
        if mask is not None and "T" in layout:
            _check_tokens(layer, single.shape[layout.index("T")], mask.shape[1])
            mask = mask.float()
        return {
            tap.pool: apply_pool(tap.pool, single, layout, TORCH, mask, tap.revision).float()
            for tap in taps
        }


def _check_tokens(layer: str, n_tokens: int, n_ids: int) -> None:
    """Raise `ShapeError` if a layer's tokens are not those of the input."""
    if n_tokens != n_ids:
        raise ShapeError(
            f'Layer "{layer}" was to be pooled over its valid tokens.',
            f"It gives {n_tokens} tokens for {n_ids} ids: which of them are padding is not known.",
            "A layer with one token an id, or all tokens counted.",
            f'To count all:  cp.load(…, preprocess=ArraySpec(({n_ids},), "int64"))',
        )


def _cannot_mask(layers: Sequence[str]) -> UsageError:
    return UsageError(
        f"Taps {', '.join(layers)} were to be read of items with padding.",
        "Some are operations, no modules; the network's graph, in which they have names, knows no "
        "attention mask.",
        "Taps that are modules.",
        "List them with:  backbone.layers()",
    )
