"""Features as they are kept: whole maps in half precision, vectors in single."""

from __future__ import annotations

import numpy as np

from cutpoint.base.spec import TapSpec
from cutpoint.base.types import Array
from cutpoint.networks.pooling import keeps_space

LARGEST = float(np.finfo(np.float16).max)  # 65504


def stored_dtype(tap: str, rows: Array, storage: str) -> str:
    """Return the type `rows` of a tap are kept in, ``"float16"`` or ``"float32"``.

    Parameters
    ----------
    tap : str
        ``"layer/pool"``.
    rows : array of shape (n_items, …)
    storage : {"auto", "fp32", "fp16"}
        As `FeatureSpec.storage`.
    """
    is_map = keeps_space(TapSpec.from_name(tap).pool) and rows.ndim > 2
    return "float16" if storage == "fp16" or (storage == "auto" and is_map) else "float32"


def as_stored(tap: str, rows: Array, storage: str) -> Array:
    """Return `rows` of a tap in the type they are kept in; values beyond its range are infinite.

    Notes
    -----
    NumPy takes several times as long for the conversion as torch.half does; it is small beside a
    forward pass, and nothing here needs PyTorch.
    """
    with np.errstate(over="ignore"):  # told by `beyond`, with the value
        kept: Array = rows.astype(stored_dtype(tap, rows, storage), copy=False)
    return kept


def as_read(rows: Array) -> Array:
    """Return rows for those who learn from them: vectors in single precision, maps as kept."""
    return rows.astype(np.float32, copy=False) if rows.ndim == 2 else rows


def beyond(tap: str, row: Array, storage: str) -> str:
    """Return why one item's features can't be kept, or nothing if they can.

    Parameters
    ----------
    row : array of shape (n_rows, …)
        Finite float32.
    """
    if stored_dtype(tap, row, storage) == "float32":
        return ""
    largest = float(np.abs(row).max(initial=0.0))
    if largest <= LARGEST:
        return ""
    return (
        f"{tap} holds {largest:.4g}, beyond ±{LARGEST:.0f} of half precision; "
        "keep it with --storage fp32"
    )
