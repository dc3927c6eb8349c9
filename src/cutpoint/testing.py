"""Fakes for tests of programs that use cutpoint: no weights, no framework, instant.

`FakeBackbone` is a small frozen convolution in NumPy with the face of a real backbone. Its features
tell colours and coarse shapes apart, so heads really learn from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.spec import BackboneSpec, Constants, Preprocess, PreprocessSpec, TapSpec
from cutpoint.base.types import Array, Batch, Features, InputSpec
from cutpoint.items.kinds import in_graph, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.frameworks.inputs import fed_by
from cutpoint.networks.layer_table import Layer, LayerTable, no_symbolic
from cutpoint.networks.pooling import NUMPY, apply_pool

_SIDE = 16
_WIDTHS = (8, 12, 16)
_SPEC = PreprocessSpec(_SIDE, _SIDE, "bilinear", (127.5,) * 3, (127.5,) * 3)


class FakeBackbone(Backbone):
    """A backbone of three layers, ``conv1``, ``conv2`` and ``conv3``, on 16×16 RGB.

    Parameters
    ----------
    seed : int
        Draws the weights; part of the fingerprint.
    preprocess : PreprocessSpec
        How photos become arrays of 16×16×3; −1 to 1 by default.
    """

    def __init__(self, seed: int = 0, preprocess: Preprocess = _SPEC) -> None:
        weights = _draw(seed)
        digest = hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()
        spec = BackboneSpec("fake", f"seed{seed}", "image", digest, preprocess)
        super().__init__(spec, lambda: weights, _FakeFramework)


class FakeCut:
    """A cut of a `FakeBackbone`; `n_forward` counts the items it has seen."""

    inputs: Mapping[str, InputSpec] = _SPEC.inputs
    converts_to: tuple[str, ...] = ()
    why_native = ""

    def __init__(
        self, weights: Sequence[Array], taps: Sequence[TapSpec], preprocess: Preprocess = _SPEC
    ) -> None:
        self.taps = tuple(taps)
        (way,) = in_graph(preprocess).values()
        self._mean, self._std = np.array(way.mean, np.float32), np.array(way.std, np.float32)
        self.n_forward = 0
        depth = max(_index(tap.layer) for tap in taps) + 1
        self._weights = tuple(weights[:depth])

    def __call__(self, batch: Batch | Array) -> Features:
        pixels = batch["image"] if isinstance(batch, Mapping) else batch
        self.n_forward += len(pixels)
        maps = np.moveaxis((pixels.astype(np.float32) - self._mean) / self._std, 3, 1)
        found: Features = {}
        for index, weight in enumerate(self._weights):
            maps = np.maximum(np.einsum("oi,nihw->nohw", weight, _halved(maps)), 0)
            for tap in self.taps:
                if _index(tap.layer) == index:
                    pooled = apply_pool(tap.pool, maps, "NCHW", NUMPY)
                    found[tap.name] = np.ascontiguousarray(pooled, np.float32)
        return {tap.name: found[tap.name] for tap in self.taps}

    def convert(self, engine: str) -> Any:
        raise ValueError(f"a fake cut runs natively, not by {engine}")

    def state_sha256(self) -> str:
        return hashlib.sha256(b"".join(weight.tobytes() for weight in self._weights)).hexdigest()


class _FakeFramework:
    WHEN_CHANGED = "backbone = FakeBackbone()"
    trained_by = "NumPy alone"

    @staticmethod
    def list_layers(
        network: Any, preprocess: Preprocess, name: str, constants: Constants
    ) -> LayerTable:
        rows, macs, channels = [], 0, 3
        for index, width in enumerate(_WIDTHS):
            side = _SIDE >> (index + 1)
            macs += channels * width * side * side
            shape = (None, width, side, side)
            params = channels * width
            rows.append(Layer(index, f"conv{index + 1}", "Conv", shape, 2 << index, params, macs))
            channels = width
        return LayerTable(name, tuple(rows))

    @staticmethod
    def make_cut(
        network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable
    ) -> Cut:
        fed_by(spec.preprocess.inputs, ["image"], spec.id)  # else it is refused
        return FakeCut(network, taps, spec.preprocess)

    @staticmethod
    def symbolic(
        network: Any, layer: Layer, preprocess: Preprocess, trainable: bool, constants: Constants
    ) -> Any:
        raise no_symbolic(layer, "NumPy alone")

    @staticmethod
    def weights_digests(network: Any) -> dict[str, str]:
        names = (f"conv{index + 1}" for index in range(len(network)))
        found = (hashlib.sha256(weight.tobytes()).hexdigest() for weight in network)
        return dict(zip(names, found, strict=True))


def load_fake(name: str, options: LoadOptions) -> Backbone:
    """Return ``fake:seed0`` and its like; the source of that name."""
    stated = options.preprocess or _SPEC
    spec = stated_preprocess(stated, f"fake:{name}", (_SIDE, _SIDE, 3))
    return FakeBackbone(int(name.removeprefix("seed") or 0), spec)


def _draw(seed: int) -> tuple[Array, ...]:
    random = np.random.default_rng(seed)
    sizes = zip((3, *_WIDTHS), _WIDTHS, strict=False)
    return tuple(random.normal(size=(out, into)).astype(np.float32) for into, out in sizes)


def _index(layer: str) -> int:
    return int(layer.removeprefix("conv")) - 1


def _halved(maps: Array) -> Array:
    n_items, channels, height, width = maps.shape
    blocks: Array = maps.reshape(n_items, channels, height // 2, 2, width // 2, 2).mean((3, 5))
    return blocks
