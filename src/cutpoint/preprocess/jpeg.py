"""Plain JPEGs by libjpeg-turbo's own interface: the same pixels as Pillow's, sooner.

The package simplejpeg is optional. Its pixels are compared with Pillow's once a process, on a small
image that has every trap (odd sides, halved colours), as either may bring another build of the
library. Whatever it does not decode without a warning is left to Pillow and its rules.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.types import UInt8


def decode_jpeg(data: bytes, opened: Image.Image) -> Image.Image | None:
    """Return the pixels of an RGB JPEG with the facts Pillow read; None to leave it to Pillow.

    Parameters
    ----------
    data : bytes of the file
    opened : PIL image
        What Pillow made of the file's header; not loaded.
    """
    library = _library()
    if library is None or opened.format != "JPEG" or opened.mode != "RGB":
        return None
    try:
        pixels = library.decode_jpeg(data, "RGB")
    except ValueError:  # broken, or odd: Pillow decides
        return None
    if pixels.shape != (opened.height, opened.width, 3):
        return None
    image = Image.fromarray(pixels)
    image.info = opened.info  # where the orientation is
    return image


@cache
def _library() -> Any:
    """Return simplejpeg if it is there and its pixels are Pillow's, else None."""
    try:
        import simplejpeg
    except ImportError:
        return None
    buffer = io.BytesIO()
    Image.fromarray(_waves(37, 51)).save(buffer, "JPEG", quality=85, subsampling="4:2:0")
    truth = np.asarray(Image.open(buffer))
    found = simplejpeg.decode_jpeg(buffer.getvalue(), "RGB")
    return simplejpeg if np.array_equal(found, truth) else None


def _waves(height: int, width: int) -> UInt8:
    """Return colours that change at every pixel, (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * pace + columns**2 / 40) for pace in (0.3, 1.1, 2.0)]
    return np.rint(127.5 + 127.5 * np.stack(waves, axis=2)).astype(np.uint8)
