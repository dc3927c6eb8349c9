"""How weights were fed in training, said by name, by a JSON file, or by a spec."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutpoint.errors import UsageError
from cutpoint.spec import (
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


def recipe_named(name: str, side_px: int = 224) -> PreprocessSpec:
    """Return a named recipe for networks that see squares of `side_px` pixels."""
    if name not in RECIPES:
        raise UsageError(
            f'Preprocessing "{name}" was asked for.',
            "There is no recipe of that name, and no file.",
            f"Recipes: {', '.join(RECIPES)}; or a JSON file with the fields of PreprocessSpec.",
            "Type, for example:  --preprocess imagenet",
        )
    return replace(RECIPES[name], resize_px=round(side_px * 256 / 224), crop_px=side_px)


def stated_preprocess(
    given: str | Path | Preprocess | None, what: str, input_shape: tuple[int, ...] | None = None
) -> Preprocess:
    """Return the preprocessing a user stated; nothing is ever guessed.

    Parameters
    ----------
    given : str, PreprocessSpec, ArraySpec or None
        Name of a recipe, or path of a JSON file.
    what : str
        The backbone, for messages.
    input_shape : tuple of int, optional
        Of one item, channels last, where the network declares it.

    Raises
    ------
    UsageError
        If nothing was stated, or it does not fit the network.
    """
    if given is None:
        raise UsageError(
            f'Backbone "{what}" was asked for.',
            "How its weights were fed in training is not known, and a guess would be silent.",
            f"One of {', '.join(RECIPES)}, or a JSON file (in Python: a PreprocessSpec).",
            'Type, for example:  --preprocess imagenet   (Python: preprocess="imagenet")',
        )
    if isinstance(given, Path):
        given = str(given)
    is_image = input_shape is None or _is_square_image(input_shape)
    if isinstance(given, str) and given.endswith(".json"):
        spec = read_preprocess(Path(given))
    elif isinstance(given, str) and given == "none" and not is_image and input_shape:
        spec = ArraySpec(input_shape)
    elif isinstance(given, str):
        side_px = input_shape[0] if input_shape is not None and is_image else 224
        spec = recipe_named(given, side_px)
    elif isinstance(given, PreprocessSpec | ArraySpec):
        spec = given
    else:
        raise UsageError(
            f'Backbone "{what}" was asked for.',
            f"Its preprocessing is given as a {type(given).__name__}.",
            "The name of a recipe, the path of a JSON file, a PreprocessSpec or an ArraySpec.",
            'Type, for example:  preprocess="imagenet"',
        )
    if input_shape is not None and spec.array_shape != input_shape:
        raise UsageError(
            f'Backbone "{what}" was asked for.',
            f"It takes items of shape {input_shape}; the preprocessing gives {spec.array_shape}.",
            "Preprocessing that gives what the network takes.",
            "State another, or  --preprocess none  for arrays that are ready as they are",
        )
    return spec


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
