"""Large JPEGs decoded at a half, a quarter or an eighth of their size: `PreprocessSpec.decode`.

libjpeg can leave out the fine part of each block. The recipe's resize, with at least `MIN_RATIO`
pixels left for each of its own, then hides most of the difference: docs/benchmarks/decoding.md.
"""

from __future__ import annotations

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image.resize import RESAMPLING, resized_size

MIN_RATIO = 2
"""Shorter side as it is decoded, in units of `resize_px`. At 1 features of EfficientNet-Lite0 drift
to a cosine of 0.978 (8 sets of 12 photos), at 2 to 0.997, at 3 to 0.999 for a half more time."""


def is_scaled(image: Image.Image, spec: PreprocessSpec) -> bool:
    """Return whether an image, opened and not yet loaded, is to be decoded smaller."""
    is_large = min(image.size) >= 2 * MIN_RATIO * spec.resize_px  # a half is the first step
    return spec.decode == "scaled" and isinstance(image, JpegImageFile) and is_large


def load_scaled(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Return a JPEG, decoded smaller and resized as the recipe says; not yet turned or cropped.

    It is resized here because of its edge: where the scale does not divide a side, only a part of
    the last pixel is photo.
    """
    size = resized_size(*image.size, spec)
    least = MIN_RATIO * spec.resize_px
    drafted = image.draft(image.mode, (least, least))
    image.load()
    colours = image if image.mode in ("RGB", "L") else image.convert("RGB")
    return colours.resize(size, RESAMPLING[spec.interpolation], box=drafted[1] if drafted else None)
