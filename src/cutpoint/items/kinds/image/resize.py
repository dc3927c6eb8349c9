"""RGB or grey image → the square the network sees.

Shorter side to `resize_px`, antialiased by Pillow; then the central square of `crop_px`. Sizes and
offsets are rounded as torchvision's `Resize` and `CenterCrop` round them. Or, with `fit` "squash",
the whole image to that square.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.types import UInt8

MAX_PIXELS = 178_956_970  # Pillow's own line between a warning and an error
LARGE_PIXELS = 50_000_000
MAX_STRETCH = 64  # pixels made of each, where that makes more than `LARGE_PIXELS`
RESAMPLING = {each.name.lower(): each for each in Image.Resampling}


def fit_to_recipe(image: Image.Image, spec: PreprocessSpec) -> UInt8:
    """Resize the shorter side and crop the centre, or squash; uint8 (crop_px, crop_px, 3)."""
    size, side = resized_size(*image.size, spec), spec.crop_px
    if image.size != size:
        image = image.resize(size, RESAMPLING[spec.interpolation])
    left, top = round((size[0] - side) / 2.0), round((size[1] - side) / 2.0)
    square = image.crop((left, top, left + side, top + side))
    # Grey becomes three channels last: each would have been resized to the same bits.
    return np.asarray(square if square.mode == "RGB" else square.convert("RGB"))


def resized_size(width: int, height: int, spec: PreprocessSpec) -> tuple[int, int]:
    """Return width and height that an image of this size is resized to, before the crop.

    Raises
    ------
    BadItem
        If that is more pixels than are ever decoded.
    """
    if spec.fit == "squash":
        return spec.crop_px, spec.crop_px
    shorter, longer = min(width, height), max(width, height)
    n_resized = longer * (spec.resize_px / shorter) * spec.resize_px
    is_stretched = n_resized > max(LARGE_PIXELS, MAX_STRETCH * width * height)
    if n_resized > MAX_PIXELS or is_stretched:
        raise BadItem(f"{width}×{height} px is too long and thin to resize to {spec.resize_px} px")
    resized = int(spec.resize_px * longer / shorter)
    return (spec.resize_px, resized) if width <= height else (resized, spec.resize_px)
