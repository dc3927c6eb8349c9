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
        Side of the square the network sees, pixels.
    interpolation : {"nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"}
        Antialiased, as Pillow defines it.
    mean, std : triples on the 0–255 scale, in the order of `channels`
        The network sees ``(pixel - mean) / std``.
    background : RGB triple, 0–255
        What shows through transparent pixels.
    fit : {"crop", "squash"}
        Whether the central square is kept, or the whole image pressed into the square
        (`resize_px` then plays no part and equals `crop_px`).
    channels : {"RGB", "BGR"}
        The order in which the network sees the colours.
    decode : {"exact", "scaled"}
        Whether large JPEG files are decoded at a half, a quarter or an eighth of their size, which
        moves pixels a little.
    recipe : int
        Version of the decoding rules (`preprocess.image`); a change that moves pixels
        raises it, so that no stored feature goes stale unseen.
    """

    resize_px: int
    crop_px: int
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    background: tuple[int, int, int] = (255, 255, 255)
    fit: str = "crop"
    channels: str = "RGB"
    recipe: int = 1
    decode: str = "exact"

    def __post_init__(self) -> None:
        # 0 and 0.0 are one number, so they must be spelled alike in the fingerprint.
        for name, kind in (("mean", float), ("std", float), ("background", int)):
            object.__setattr__(self, name, tuple(kind(value) for value in getattr(self, name)))

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of one prepared item, ``(height, width, 3)``, always RGB."""
        return (self.crop_px, self.crop_px, 3)

    @property
    def dtype(self) -> str:
        """Type of a prepared item: pixels stay uint8, mean and deviation are in the graph."""
        return "uint8"

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self)
        if self.decode == "exact":  # as before the field was there, so that ids stay as they are
            del fields["decode"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> PreprocessSpec:
        triples = {name: tuple(fields[name]) for name in ("mean", "std", "background")}
        return cls(**{**fields, **triples})


@dataclass(frozen=True)
class ArraySpec:
    """Arrays that are what the weights were trained on already; nothing is done to them.

    Attributes
    ----------
    shape : tuple of int
        One item's, without the axis of the batch.
    dtype : str
        NumPy name, ``"float32"`` or ``"int64"``.
    pad_id : int or None
        The token id that only fills up: such tokens are not attended to, and no mean counts
        them. None: every token counts.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    pad_id: int | None = None

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of one item."""
        return self.shape

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ArraySpec:
        return cls(tuple(fields["shape"]), fields["dtype"], fields.get("pad_id"))


Preprocess = PreprocessSpec | ArraySpec


def preprocess_from_json(fields: Mapping[str, Any]) -> Preprocess:
    """Return the spec that `fields` describe; the two kinds share no field."""
    kind = ArraySpec if "shape" in fields else PreprocessSpec
    return kind.from_json(fields)


@dataclass(frozen=True)
class BackboneSpec:
    """Which network, with which weights, fed how.

    `name` is what the source calls it; of a file, its name without the folders before it, so that
    moving the file changes no fingerprint. `modality` is "image" or "array".
    """

    source: str
    name: str
    modality: str
    weights_sha256: str
    preprocess: Preprocess

    @property
    def id(self) -> str:
        """Source and name, ``"packaged:efficientnet_lite0"``."""
        return f"{self.source}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "preprocess": self.preprocess.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> BackboneSpec:
        return cls(**{**fields, "preprocess": preprocess_from_json(fields["preprocess"])})


@dataclass(frozen=True, order=True)
class TapSpec:
    """One place to read and how to pool it, written ``layer/pool``.

    `revision` is 2 of taps of padded items that are pooled as pools are now; by 1, ``gap``,
    ``mean`` and ``cls+mean`` alone leave padding out, as when the first features were stored.
    """

    layer: str
    pool: str
    revision: int = 1

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.pool}"

    @classmethod
    def from_name(cls, name: str, revision: int = 1) -> TapSpec:
        layer, _, pool = name.rpartition("/")
        return cls(layer, pool, revision)


DECODES = ("exact", "scaled")
"""How files of photos may be decoded."""

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""What a network may compute in; its features are float32 in any."""


@dataclass(frozen=True)
class FeatureSpec:
    """All that decides the numbers in a feature store.

    Attributes
    ----------
    backbone : BackboneSpec
    taps : tuple of TapSpec
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the network computes in.
    storage : {"auto", "fp32", "fp16"}
        In which its features are kept: "auto" is half precision for whole maps (pools ``none`` and
        ``grid``) and single for vectors.
    calibration : str
        For int8, the sha256 of the payload digests of the items whose activations set the scales:
        other items give other numbers. Empty otherwise, and until they are chosen.
    """

    backbone: BackboneSpec
    taps: tuple[TapSpec, ...]
    precision: str = "fp32"
    storage: str = "auto"
    calibration: str = ""

    @property
    def revision(self) -> int:
        """Of its taps, which share one."""
        return max((tap.revision for tap in self.taps), default=1)

    def to_json(self) -> dict[str, Any]:
        taps = [tap.name for tap in self.taps]
        fields = {**asdict(self), "backbone": self.backbone.to_json(), "taps": taps}
        if not self.calibration:  # a field younger than the ids of stored features
            del fields["calibration"]
        if self.revision > 1:  # younger, too
            fields["revision"] = self.revision
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> FeatureSpec:
        backbone = BackboneSpec.from_json(fields["backbone"])
        revision = fields.get("revision", 1)
        taps = tuple(TapSpec.from_name(name, revision) for name in fields["taps"])
        return cls(
            backbone,
            taps,
            fields["precision"],
            fields.get("storage", "auto"),
            fields.get("calibration", ""),
        )

    def fingerprint(self) -> str:
        """Return 16 hex digits that change exactly when a declared value does."""
        return hashlib.sha256(canonical_json(self.to_json()).encode()).hexdigest()[:16]


def canonical_json(fields: Mapping[str, Any]) -> str:
    """Return the one spelling of `fields` that is hashed and stored."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parse_json(text: str) -> Any:
    """Return what a person wrote as JSON; ValueError where an object says a field twice.

    Python takes the last of them without a word.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"said twice: {', '.join(twice)}")
        return fields

    return json.loads(text, object_pairs_hook=once)
