"""Arrays that are ready as they are: only checked."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cutpoint.base.errors import BadItem
from cutpoint.base.spec import ArraySpec
from cutpoint.base.stopwatch import lap
from cutpoint.base.types import Array


def prepare_array(payload: Any, spec: ArraySpec) -> tuple[Array, tuple[str, ...]]:
    """Return one item as the backbone expects it, and no notes.

    Parameters
    ----------
    payload : array, or bytes of an ``.npy`` file
        Of shape ``spec.shape``; numbers that convert to ``spec.dtype`` without loss of kind.

    Raises
    ------
    BadItem
        If the shape or kind differs, or a value is NaN or infinite.
    """
    if isinstance(payload, bytes):
        try:
            payload = np.load(io.BytesIO(payload), allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise BadItem(f"not an .npy file of plain numbers: {str(error)[:100]}") from error
    if not isinstance(payload, np.ndarray):
        raise BadItem(f"a {type(payload).__name__} where an array {spec.shape} is expected")
    if payload.shape != spec.shape or not np.can_cast(payload.dtype, spec.dtype, "same_kind"):
        raise BadItem(
            f"array of {payload.dtype} {payload.shape}; expected {spec.dtype} {spec.shape}"
        )
    values = payload.astype(spec.dtype)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadItem("values that are NaN or infinite")
    lap("preprocess")
    return values, ()
