"""How weights were fed in training, said by name, by a JSON file, or by a spec."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import (
    DECODES,
    ArraySpec,
    Preprocess,
    PreprocessSpec,
    parse_json,
    preprocess_from_json,
)

_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR, keras.applications.imagenet_utils, mode "caffe"

# Shorter side to 256, central 224: the evaluation crop of ImageNet classifiers since AlexNet.
RECIPES = {
    "imagenet": PreprocessSpec(256, 224, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD),
    "tf": PreprocessSpec(256, 224, "bilinear", (127.5,) * 3, (127.5,) * 3),
    "caffe": PreprocessSpec(256, 224, "bilinear", _CAFFE_MEAN, (1.0,) * 3, channels="BGR"),
    "unit": PreprocessSpec(256, 224, "bilinear", (0.0,) * 3, (255.0,) * 3),
    "none": PreprocessSpec(256, 224, "bilinear", (0.0,) * 3, (1.0,) * 3),
}
"""What the network sees: ``imagenet`` (x/255 − mean)/std RGB, ``tf`` −1 to 1, ``caffe`` BGR minus
mean, ``unit`` 0 to 1, ``none`` 0 to 255."""


_SIDED = re.compile(r"(\w+)\((\d+)\)")
MOST_PX = 8192  # a side beyond is a slip of the finger: one item would take 200 MB

Shape = tuple[int | None, ...]
"""Of one item; None where a network leaves a size open."""


def recipe_named(name: str, side_px: int = 224) -> PreprocessSpec:
    """Return a named recipe, ``"imagenet"`` or with a side in pixels ``"imagenet(32)"``.

    Parameters
    ----------
    side_px : int
        Of the squares the network sees, where `name` does not say.
    """
    sided = _SIDED.fullmatch(name.replace(" ", ""))
    kind, side_px = (sided[1], int(sided[2])) if sided else (name, side_px)
    if kind not in RECIPES or not 1 <= side_px <= MOST_PX:
        is_known = kind in RECIPES
        raise UsageError(
            f'Preprocessing "{name}" was asked for.',
            f"A side of {side_px} pixels is none a network sees."
            if is_known
            else "There is no recipe of that name, and no file.",
            f"Recipes: {', '.join(RECIPES)}, with a side of 1 to {MOST_PX} pixels if it is not the "
            "network's own; or a JSON file with the fields of PreprocessSpec.",
            "Type, for example:  --preprocess imagenet   or  --preprocess 'imagenet(32)'",
        )
    return replace(RECIPES[kind], resize_px=round(side_px * 256 / 224), crop_px=side_px)


def stated_preprocess(
    given: str | Path | Preprocess | None,
    what: str,
    input_shape: Shape | None = None,
    *,
    side_px: int | None = None,
    only_lists: bool = False,
) -> Preprocess:
    """Return the preprocessing a user stated; nothing is ever guessed.

    Parameters
    ----------
    given : str, PreprocessSpec, ArraySpec or None
        Name of a recipe, or path of a JSON file.
    what : str
        The backbone, for messages.
    input_shape : tuple of int or None, optional
        Of one item, channels last, where the network declares it.
    side_px : int, optional
        Of the squares the weights were trained on, where the source knows it: what a recipe
        without a side gives.
    only_lists : bool
        Whether layers are listed and nothing is fed: the shape is enough then, if it is known.

    Raises
    ------
    UsageError
        If nothing was stated, or it does not fit the network.
    """
    whole = _whole(input_shape)
    if given is None and only_lists and whole:
        return recipe_named("none", whole[0]) if _is_square_image(whole) else ArraySpec(whole)
    if given is None:
        raise unstated(what, input_shape)
    if isinstance(given, Path):
        given = str(given)
    if isinstance(given, str) and given.endswith(".json"):
        spec = read_preprocess(Path(given))
    elif given == "none" and whole and not _is_square_image(whole):
        spec = ArraySpec(whole)
    elif isinstance(given, str):
        own = whole[0] if whole and _is_square_image(whole) else side_px
        spec = recipe_named(given, own or 224)
    elif isinstance(given, PreprocessSpec | ArraySpec):
        spec = given
    else:
        raise UsageError(
            f'Backbone "{what}" was asked for.',
            f"Its preprocessing is given as a {type(given).__name__}.",
            "The name of a recipe, the path of a JSON file, a PreprocessSpec or an ArraySpec.",
            'Type, for example:  preprocess="imagenet"',
        )
    if input_shape is not None and not _fits(spec.array_shape, input_shape):
        raise _misfit(what, spec, input_shape)
    return spec


def unstated(what: str, shape: Shape | None) -> UsageError:
    """Return the error that asks how weights were fed, in the words of what the network takes.

    Parameters
    ----------
    shape : tuple of int or None, or None
        Of one item, channels last; empty if nothing is known but that it is no photo; None if
        nothing is known at all.
    """
    if may_be_photos(shape):
        own = _whole(shape)
        side = f" The side of {own[0]} pixels is the network's own." if own else ""
        return UsageError(
            f'Backbone "{what}" was asked for.',
            "How its weights were fed in training is not known, and a guess would be silent.",
            f"One of {', '.join(RECIPES)}, or a JSON file (in Python: a PreprocessSpec).{side}",
            'Type, for example:  --preprocess imagenet   (Python: preprocess="imagenet")',
        )
    how = "--preprocess none" if _whole(shape) else "--preprocess FILE.json"
    python = 'preprocess="none"' if _whole(shape) else 'preprocess=ArraySpec(shape, "float32")'
    takes = (
        f"It takes arrays of shape {_text(shape)}, no square photos"
        if shape
        else "Its weights show no convolution over three colours, so it takes arrays"
    )
    return UsageError(
        f'Backbone "{what}" was asked for.',
        f"{takes}; how they were prepared for training is not known.",
        '"none" where arrays of the shape it declares are ready as they are; or a JSON file with '
        f"their shape and type:  {_as_json(shape)}",
        f"Type:  {how}   (Python: {python})",
    )


def _misfit(what: str, spec: Preprocess, shape: Shape) -> UsageError:
    if may_be_photos(shape):
        fitting = "State another, or leave its side out:  --preprocess imagenet"
    elif _whole(shape):
        fitting = "Arrays that are ready as they are:  --preprocess none"
    else:
        fitting = f"State the shape of its arrays in FILE.json:  {_as_json(shape)}"
    return UsageError(
        f'Backbone "{what}" was asked for.',
        f"It takes items of shape {_text(shape)}; the preprocessing gives "
        f"{_text(spec.array_shape)}.",
        "Preprocessing that gives what the network takes.",
        fitting,
    )


def may_be_photos(shape: Shape | None) -> bool:
    """Say whether items of `shape`, channels last, can be squares of three colours."""
    if shape is None:
        return True
    if len(shape) != 3 or shape[2] != 3:
        return False
    return shape[0] == shape[1] or None in shape[:2]


def _whole(shape: Shape | None) -> tuple[int, ...] | None:
    """Return a shape of which nothing is open; None if something is, or all."""
    sizes = tuple(size for size in shape or () if size is not None)
    return sizes if sizes and shape is not None and len(sizes) == len(shape) else None


def _fits(given: tuple[int, ...], wanted: Shape) -> bool:
    pairs = zip(given, wanted, strict=False)
    return len(given) == len(wanted) and all(size in (None, own) for own, size in pairs)


def _as_json(shape: Shape | None) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in shape or (None,))
    return f'{{"shape": [{sizes}], "dtype": "float32"}}'


def _text(shape: Shape) -> str:
    return "×".join("?" if size is None else str(size) for size in shape)


def modality_of(spec: Preprocess) -> str:
    """Return the kind of item a preprocessing takes."""
    return "array" if isinstance(spec, ArraySpec) else "image"


def read_preprocess(path: Path) -> Preprocess:
    """Return the spec in a JSON file: the fields of `PreprocessSpec`, or of `ArraySpec`."""
    try:
        fields: Any = parse_json(path.read_text())
        defaults = {"background": (255, 255, 255)} if "shape" not in fields else {}
        spec = preprocess_from_json({**defaults, **fields})
        check_preprocess(spec)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f'The preprocessing in "{path}" was asked for.',
            f"It can't be used: {type(error).__name__} {error}.",
            "Fields: resize_px, crop_px, interpolation, mean, std, and if they differ background, "
            "fit, channels, decode; for arrays: shape, dtype, and pad_id of token ids.",
            'An example:  {"resize_px": 256, "crop_px": 224, "interpolation": "bilinear", '
            '"mean": [0, 0, 0], "std": [255, 255, 255]}',
        ) from error
    return spec


def check_preprocess(spec: Preprocess) -> None:
    """Raise `ValueError` unless items can be prepared as `spec` says."""
    if isinstance(spec, ArraySpec):
        if not spec.shape or spec.dtype not in ("float32", "int64", "uint8"):
            raise ValueError("shape must not be empty; dtype is float32, int64 or uint8")
        if spec.pad_id is not None and (type(spec.pad_id) is not int or spec.dtype != "int64"):
            raise ValueError("pad_id is a whole number, of arrays of int64")
        return
    if spec.fit not in ("crop", "squash") or spec.channels not in ("RGB", "BGR"):
        raise ValueError('fit is "crop" or "squash", channels "RGB" or "BGR"')
    if spec.decode not in DECODES:
        raise ValueError(f"decode is {' or '.join(DECODES)}")
    if len(spec.mean) != 3 or len(spec.std) != 3 or not all(spec.std):
        raise ValueError("mean and std are three numbers each, std without zero")
    if not all(map(math.isfinite, (*spec.mean, *spec.std))):
        raise ValueError("mean and std are finite")
    if len(spec.background) != 3 or not all(0 <= value <= 255 for value in spec.background):
        raise ValueError("background is three numbers from 0 to 255")
    if type(spec.resize_px) is not int or type(spec.crop_px) is not int or spec.recipe != 1:
        raise ValueError("resize_px and crop_px are whole numbers; recipe is 1")
    if spec.interpolation not in ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"):
        raise ValueError(f'interpolation "{spec.interpolation}" is unknown')
    if not 1 <= spec.crop_px <= spec.resize_px:
        raise ValueError("crop_px is at least 1 and at most resize_px")


def _is_square_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == shape[1] and shape[2] == 3
