"""Frozen descriptions of what makes a feature, and their fingerprint.

Only declared values are hashed, never code. Batch size, workers, paths and the engine are not
part of a spec: they must not change the numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import entry_points
from math import isfinite
from typing import Any, Protocol

from cutpoint.base.errors import ModalityError
from cutpoint.base.types import InputSpec

KINDS = "cutpoint.kinds"
"""The entry-point group in which kinds of item are registered, as `contracts.Kind` says."""


class Preprocess(Protocol):
    """How items of one kind become what a network's weights were trained on; frozen, hashable.

    Attributes
    ----------
    kind : str
        Whose it is: a name in the group ``cutpoint.kinds``.
    inputs : mapping of name → InputSpec
        What one prepared item holds.
    decode : str
        One of `DECODES`; "exact" where files can be decoded in one way alone.
    """

    @property
    def kind(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, InputSpec]: ...
    @property
    def decode(self) -> str: ...

    def check(self) -> None:
        """Raise `ValueError` unless items can be prepared so."""

    def to_json(self) -> dict[str, Any]:
        """Return what it declares, in JSON types, ``"kind"`` among it (but for image and array)."""


# Constants of a network's inputs: (name, "zeros" or another word, or a number).
Constants = tuple[tuple[str, str | int | float], ...]


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
        Version of the decoding rules (`items.kinds.image.prepare`); a change that moves pixels
        raises it, so that no stored feature goes stale unseen.
    view : int
        0 is the photo as the other fields say; 1 its mirror image; each above a random crop,
        mirrored at random, drawn from `view_seed`, the view and the photo's own bytes
        (`items.kinds.image.views`). For training alone.
    view_seed : int
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
    view: int = 0
    view_seed: int = 0

    def __post_init__(self) -> None:
        # 0 and 0.0 are one number, so they must be spelled alike in the fingerprint.
        for name, kind in (("mean", float), ("std", float), ("background", int)):
            object.__setattr__(self, name, tuple(kind(value) for value in getattr(self, name)))

    @property
    def kind(self) -> str:
        return "image"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """``(height, width, 3)`` RGB; pixels stay uint8, mean and deviation are in the graph."""
        return {"image": InputSpec((self.crop_px, self.crop_px, 3), "uint8")}

    def check(self) -> None:
        """Raise `ValueError` unless items can be prepared so."""
        if self.fit not in ("crop", "squash") or self.channels not in ("RGB", "BGR"):
            raise ValueError('fit is "crop" or "squash", channels "RGB" or "BGR"')
        if self.decode not in DECODES:
            raise ValueError(f"decode is {' or '.join(DECODES)}")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise ValueError("mean and std are three numbers each, std without zero")
        if not all(map(isfinite, (*self.mean, *self.std))):
            raise ValueError("mean and std are finite")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise ValueError("background is three numbers from 0 to 255")
        if type(self.resize_px) is not int or type(self.crop_px) is not int or self.recipe != 1:
            raise ValueError("resize_px and crop_px are whole numbers; recipe is 1")
        if type(self.view) is not int or type(self.view_seed) is not int or self.view < 0:
            raise ValueError("view and view_seed are whole numbers, view 0 or more")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f'interpolation "{self.interpolation}" is unknown')
        if not 1 <= self.crop_px <= self.resize_px:
            raise ValueError("crop_px is at least 1 and at most resize_px")

    def to_json(self) -> dict[str, Any]:
        fields = asdict(self)
        # As before the fields were there, so that ids stay as they are.
        if self.decode == "exact":
            del fields["decode"]
        if not self.view:
            del fields["view"], fields["view_seed"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> PreprocessSpec:
        triples = {name: tuple(fields[name]) for name in ("mean", "std", "background")}
        return cls(**{**fields, **triples})


_DTYPES = ("float32", "int64", "uint8")


@dataclass(frozen=True)
class ArraySpec:
    """Arrays that are what the weights were trained on already; nothing is done to them.

    Attributes
    ----------
    shape : tuple of int or None
        One item's; None where it may differ from item to item.
    dtype : str
        NumPy name, ``"float32"`` or ``"int64"``.
    pad_id : int or None
        The token id that only fills up: such tokens are not attended to, and no mean counts
        them. None: every token counts.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    pad_id: int | None = None

    kind = "array"
    decode = "exact"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        """The array, and of token ids with padding its mask, made of them."""
        array = {"array": InputSpec(self.shape, self.dtype)}
        if self.pad_id is None:
            return array
        return {**array, "attention_mask": InputSpec(self.shape, "int64", "array", self.pad_id)}

    def check(self) -> None:
        """Raise `ValueError` unless items can be prepared so."""
        if not self.shape or self.dtype not in _DTYPES:
            raise ValueError(f"shape must not be empty; dtype is one of {', '.join(_DTYPES)}")
        if self.pad_id is not None and (type(self.pad_id) is not int or self.dtype != "int64"):
            raise ValueError("pad_id is a whole number, of arrays of int64")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ArraySpec:
        return cls(tuple(fields["shape"]), fields["dtype"], fields.get("pad_id"))


@dataclass(frozen=True)
class ArraysSpec:
    """Several arrays by name, each what the weights were trained on already.

    An item is a mapping of name → array. A mask that is left out is made of what it masks, where
    its `pad_id` is known, and all ones otherwise.

    Attributes
    ----------
    named : tuple of (name, InputSpec)
        In the network's order and by its names.
    """

    named: tuple[tuple[str, InputSpec], ...]

    kind = "array"
    decode = "exact"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        return dict(self.named)

    def check(self) -> None:
        """Raise `ValueError` unless items can be prepared so."""
        names = {name for name, each in self.named if not each.mask_of}
        if not names:
            raise ValueError("one input at least is data, no mask")
        for name, each in self.named:
            if each.dtype not in _DTYPES:
                raise ValueError(f"dtype of {name} is none of {', '.join(_DTYPES)}")
            if each.mask_of and each.mask_of not in names:
                raise ValueError(f"{name} is the mask of {each.mask_of}, which is no input")
            if each.pad_id is not None and (type(each.pad_id) is not int or not each.mask_of):
                raise ValueError(f"pad_id of {name} is a whole number, of a mask")

    def to_json(self) -> dict[str, Any]:
        inputs = {name: _input_json(each) for name, each in self.named}
        return {"inputs": inputs, "order": [name for name, _ in self.named]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ArraysSpec:
        inputs = {
            name: InputSpec(
                tuple(each["shape"]), each["dtype"], each.get("mask_of", ""), each.get("pad_id")
            )
            for name, each in fields["inputs"].items()
        }
        return cls(tuple((name, inputs[name]) for name in fields.get("order", inputs)))


def _input_json(each: InputSpec) -> dict[str, Any]:
    fields = {"shape": list(each.shape), "dtype": each.dtype}
    told = {"mask_of": each.mask_of, "pad_id": each.pad_id}
    return {**fields, **{key: value for key, value in told.items() if value not in ("", None)}}


@dataclass(frozen=True)
class UnknownSpec:
    """A preprocessing of a kind that is not installed here: its features can be read, not made."""

    kind: str
    text: str

    decode = "exact"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        return {}

    def check(self) -> None:
        """Nothing is known that could be wrong."""

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.text)
        return fields


def preprocess_from_json(fields: Mapping[str, Any]) -> Preprocess:
    """Return the spec that `fields` describe, for which their kind is asked.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they are none.
    """
    name = fields.get("kind") or ("array" if {"shape", "inputs"} & fields.keys() else "image")
    try:
        kind = load_kind(str(name))
    except ModalityError:
        return UnknownSpec(str(name), canonical_json(fields))
    found: Preprocess = kind.spec_from_json(fields)
    return found


@cache
def load_kind(name: str) -> Any:
    """Return the module of a kind of item, a `contracts.Kind`; strangers' and ours enter alike.

    Raises
    ------
    ModalityError
        If none of that name is installed.
    """
    known = entry_points(group=KINDS)
    if name not in known.names:
        raise ModalityError(
            f'No kind of item is called "{name}" here.',
            "What reads and prepares such items is not installed.",
            f"Kinds: {', '.join(sorted(known.names))}.",
            f'Install the package that brings "{name}", beside cutpoint-ml',
        )
    return known[name].load()


@dataclass(frozen=True)
class BackboneSpec:
    """Which network, with which weights, fed how.

    `name` is what the source calls it; of a file, its name without the folders before it, so that
    moving the file changes no fingerprint. `modality` is the kind of its items. `constants` are
    what inputs that carry no data are given.
    """

    source: str
    name: str
    modality: str
    weights_sha256: str
    preprocess: Preprocess
    constants: Constants = ()

    @property
    def id(self) -> str:
        """Source and name, ``"packaged:efficientnet_lite0"``."""
        return f"{self.source}:{self.name}"

    def to_json(self) -> dict[str, Any]:
        bare = {name: getattr(self, name) for name in ("source", "name", "modality")}
        fields = {**bare, "weights_sha256": self.weights_sha256}
        if self.constants:  # else as before the field was there, so that ids stay as they are
            fields["constants"] = dict(self.constants)
        return {**fields, "preprocess": self.preprocess.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> BackboneSpec:
        constants = tuple(sorted(fields.get("constants", {}).items()))
        preprocess = preprocess_from_json(fields["preprocess"])
        return cls(**{**fields, "preprocess": preprocess, "constants": constants})


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


INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
"""As Pillow names them."""

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
        """Revision of its taps, which share one."""
        return max((tap.revision for tap in self.taps), default=1)

    def to_json(self) -> dict[str, Any]:
        taps = [tap.name for tap in self.taps]
        fields = {"precision": self.precision, "storage": self.storage}
        if self.calibration:  # a field younger than the ids of stored features
            fields["calibration"] = self.calibration
        told = {"revision": self.revision} if self.revision > 1 else {}  # younger, too
        return {**fields, **told, "backbone": self.backbone.to_json(), "taps": taps}

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

    try:
        return json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("objects or lists within one another without end") from None
