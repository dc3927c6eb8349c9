"""An image where a person looks at it, and what to say of one that does not fit."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.types import Array
from cutpoint.items.kinds.image.prepare import decode_image

THUMBNAIL_PX = 128


def picture(payload: Any, spec: PreprocessSpec) -> str:
    """Return a small JPEG as a data URI.

    Raises
    ------
    BadItem
        If the image can't be decoded.
    """
    image, _ = decode_image(payload, spec)
    image = image.copy()  # it may be the user's own
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def wanted(payload: Array, spec: PreprocessSpec) -> tuple[str, str]:
    """Return what `spec` takes, and what makes images of a stack of such arrays."""
    text = "images"
    if payload.ndim == 3 and payload.shape[0] in (1, 3, 4) and payload.shape[2] not in (1, 3, 4):
        text += ".transpose(0, 2, 3, 1)"
    elif payload.ndim == 3 and payload.shape[2] == 1:
        text += "[..., 0]"
    if payload.dtype.kind == "f" and payload.size and float(np.nanmax(payload)) <= 1:
        text = f'(255 * {text}).round().astype("uint8")'
    elif payload.dtype != np.uint8:
        text += '.astype("uint8")'
    return "uint8 of shape (height, width[, 3 or 4]), RGB, 0–255", f"Type, for example:  {text}"
