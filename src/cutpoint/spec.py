"""Frozen descriptions of what makes a feature, and their fingerprint.

Only declared values are hashed, never code. Batch size, workers, paths and the engine are not
part of a spec: they must not change the numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PreprocessSpec:
    """Image file → the array the weights were trained on.

    Attributes
    ----------
    resize_px : int
        Length of the shorter side after resizing, pixels.
    crop_px : int
        Side of the central square kept, pixels.
    interpolation : {"bilinear", "bicubic"}
        Antialiased, as Pillow defines it.
    mean, std : RGB triples on the 0–255 scale
        The network sees ``(pixel - mean) / std``.
    background : RGB triple, 0–255
        What shows through transparent pixels.
    recipe : int
        Version of the decoding rules (`cutpoint.preprocess.image`); a change that moves pixels
        raises it, so that no stored feature goes stale unseen.
    """

    resize_px: int
    crop_px: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    background: tuple[int, int, int] = (255, 255, 255)
    recipe: int = 1

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """Shape of one prepared item, ``(height, width, 3)`` uint8."""
        return (self.crop_px, self.crop_px, 3)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> PreprocessSpec:
        triples = {name: tuple(fields[name]) for name in ("mean", "std", "background")}
        return cls(**{**fields, **triples})


@dataclass(frozen=True)
class BackboneSpec:
    """Which network, with which weights, fed how."""

    source: str
    name: str
    modality: str
    weights_sha256: str
    preprocess: PreprocessSpec

    @property
    def id(self) -> str:
        """What a user types to load it, ``"packaged:efficientnet_lite0"``."""
        return f"{self.source}:{self.name}"

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> BackboneSpec:
        return cls(**{**fields, "preprocess": PreprocessSpec.from_json(fields["preprocess"])})


@dataclass(frozen=True, order=True)
class TapSpec:
    """One place to read and how to pool it, written ``layer/pool``."""

    layer: str
    pool: str

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.pool}"

    @classmethod
    def from_name(cls, name: str) -> TapSpec:
        layer, _, pool = name.rpartition("/")
        return cls(layer, pool)


@dataclass(frozen=True)
class FeatureSpec:
    """All that decides the numbers in a feature store."""

    backbone: BackboneSpec
    taps: tuple[TapSpec, ...]
    precision: str = "fp32"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "taps": [tap.name for tap in self.taps]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> FeatureSpec:
        backbone = BackboneSpec.from_json(fields["backbone"])
        taps = tuple(TapSpec.from_name(name) for name in fields["taps"])
        return cls(backbone, taps, fields["precision"])

    def fingerprint(self) -> str:
        """Return 16 hex digits that change exactly when a declared value does."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()[:16]


def canonical_json(fields: Mapping[str, Any]) -> str:
    """Return the one spelling of `fields` that is hashed and stored."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
