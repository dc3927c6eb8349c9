"""Which files and arrays are images, and what tells two of them apart."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.base.errors import BadItem, ShapeError

NAME = "image"
NOUN = "image"
ITEMS = "a path, the bytes of a file, a PIL image or a uint8 array"
COLUMNS = ("path", "image")
# Files with these names are items (good or bad); files with other names are ignored and counted.
SUFFIXES = frozenset(
    [
        "",
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "mpo",
        "png",
        "gif",
        "webp",
        "bmp",
        "tif",
        "tiff",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
        "avif",
        "heic",
        "heif",
        "eps",
        "ps",
        "pdf",
        "svg",
        "fits",
        "fit",
    ]
)


def payload_of(given: Any) -> Any:
    """Return a PIL image or an array as it is, None for anything else."""
    if isinstance(given, Image.Image):
        return given
    is_array = isinstance(given, np.ndarray) or hasattr(given, "__array_interface__")
    return np.asarray(given) if is_array else None


def refuse_one(given: Any) -> None:
    """Raise `ShapeError` for the array of one image where a stack is meant."""
    if not isinstance(given, np.ndarray):
        return
    if given.ndim < 3 and given.dtype == np.uint8 and given.size:
        raise ShapeError(
            f"The array has shape {given.shape}, which is no stack of images.",
            "It is one grey image, or none.",
            "A stack has shape (n_items, height, width[, 3]).",
            "Give one image as:  image[None]",
        )
    if given.ndim == 3 and given.shape[2] in (3, 4):
        raise ShapeError(
            f"The array has shape {given.shape}, which is one colour image.",
            "A stack of images is wanted.",
            "A stack has shape (n_items, height, width[, 3]).",
            "Give one image as:  image[None]",
        )


def digest(payload: Any) -> str:
    """Return the sha256 of an array, or of a PIL image with all that decides how it looks."""
    if isinstance(payload, Image.Image):
        facts, data = _pil_facts(payload), payload.tobytes()
    else:
        facts = f"{payload.dtype.str}{payload.shape}"
        data = np.ascontiguousarray(payload).tobytes()
    return hashlib.sha256(facts.encode() + data).hexdigest()


def _pil_facts(image: Image.Image) -> str:
    """Return what decides, besides its raw bytes, how a PIL image looks."""
    try:
        image.load()
    except Exception as error:  # opened lazily from a broken file
        raise BadItem(f"can't be decoded whole: {error}") from error
    palette = image.getpalette() if image.mode in ("P", "PA") else None
    turned, clear = image.getexif().get(0x0112), image.info.get("transparency")
    return f"{image.mode}{image.size}{palette}{turned}{clear}"
