"""Names for arrays, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.base.errors import DataError, ShapeError

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

Batch = Array
"""One prepared batch, ``(n_items, height, width, 3)`` uint8 RGB for images."""

Features = dict[str, Array]
"""Tap name (``"blocks.6/gap"``) → ``(n_items, …)`` float32."""

Run = Callable[[Batch], Features]
"""Features of one batch. One `Run` belongs to one thread."""


def check_batch(batch: Batch, shape: tuple[int, ...], dtype: str) -> None:
    """Raise `ShapeError` unless `batch` is one item or more of `shape` and `dtype`."""
    if batch.shape[1:] != shape or batch.dtype != dtype or not len(batch):
        raise ShapeError(
            f"This cut can't take a batch of {batch.dtype} and shape {batch.shape}.",
            f"Its network takes {dtype}, each item of shape {shape}.",
            f"A batch of {dtype} and shape (n_items, *{shape}), one item or more.",
            "Prepare items with:  cutpoint.items.preprocess.prepare_item(item, spec.preprocess)",
        )


def check_finite(rows: Array, what: str) -> None:
    """Raise `DataError` if a row holds NaN or infinity; `what` names the rows."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
    if len(bad):
        raise DataError(
            f"{what} holds NaN or infinity in row {bad[0]}.",
            f"{len(bad)} of {len(rows)} rows do.",
            "Finite numbers; what `cutpoint extract` keeps is finite.",
            f"Leave them out with:  X[numpy.isfinite(X).all(axis={tuple(range(1, rows.ndim))})]",
        )
