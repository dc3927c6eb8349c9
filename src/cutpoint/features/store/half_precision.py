"""Features as they are kept: whole maps in half precision, vectors in single."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cutpoint.base.spec import TapSpec
from cutpoint.base.types import Array
from cutpoint.features.store.ragged import Kept, Ragged
from cutpoint.networks.pooling import keeps_space

LARGEST = float(np.finfo(np.float16).max)  # 65504


def stored_dtype(tap: str, n_axes: int, storage: str) -> str:
    """Return the type the rows of a tap are kept in, ``"float16"`` or ``"float32"``.

    Parameters
    ----------
    tap : str
        ``"layer/pool"``.
    n_axes : int
        Axes of the rows, (n_items, …), the first among them.
    storage : {"auto", "fp32", "fp16"}
        As `FeatureSpec.storage`.
    """
    is_map = keeps_space(TapSpec.from_name(tap).pool) and n_axes > 2
    return "float16" if storage == "fp16" or (storage == "auto" and is_map) else "float32"


def as_stored(tap: str, rows: Kept, storage: str) -> Kept:
    """Return `rows` of a tap in the type they are kept in; values beyond its range are infinite.

    Notes
    -----
    NumPy takes several times as long for the conversion as torch.half does; it is small beside a
    forward pass, and nothing here needs PyTorch.
    """
    with np.errstate(over="ignore"):  # told by `beyond`, with the value
        if isinstance(rows, Ragged):
            dtype = stored_dtype(tap, rows.ndim, storage)
            return replace(rows, values=rows.values.astype(dtype, copy=False))
        return rows.astype(stored_dtype(tap, rows.ndim, storage), copy=False)


def as_read(rows: Array) -> Array:
    """Return rows for those who learn from them: vectors in single precision, maps as kept."""
    return rows.astype(np.float32, copy=False) if rows.ndim == 2 else rows


def beyond(tap: str, row: Kept, storage: str) -> str:
    """Return why one item's features can't be kept, or nothing if they can.

    Parameters
    ----------
    row : array of shape (n_rows, …)
        Finite float32.
    """
    if stored_dtype(tap, row.ndim, storage) == "float32":
        return ""
    values = row.values if isinstance(row, Ragged) else row
    largest = float(np.abs(values).max(initial=0.0))
    if largest <= LARGEST:
        return ""
    return (
        f"{tap} holds {largest:.4g}, beyond ±{LARGEST:.0f} of half precision; "
        "keep it with storage fp32"
    )
