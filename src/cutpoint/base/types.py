"""Names for arrays, and their checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cutpoint.base.errors import DataError, ShapeError

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

Batch = Mapping[str, Array]
"""One prepared batch: name of an input → ``(n_items, …)``; all have as many items."""

Prepared = Mapping[str, Array]
"""One prepared item: name of an input → array, without the axis of items."""

Features = dict[str, Array]
"""Tap name (``"blocks.6/gap"``) → ``(n_items, …)`` float32."""

Run = Callable[[Batch], Features]
"""Features of one batch. One `Run` belongs to one thread."""


Shape = tuple[int | None, ...]
"""One item's; None where a size is free."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a cut, as a prepared item fills it.

    Attributes
    ----------
    shape : tuple of int or None
        One item's; None where a size may differ from batch to batch.
    dtype : str
        NumPy name.
    mask_of : str
        The input whose places this one tells apart, 1 where they count and 0 where they only fill
        up; empty if it is no mask.
    pad_id : int or None
        For a mask that can be made of that input: the value there that only fills up.
    """

    shape: Shape
    dtype: str = "float32"
    mask_of: str = ""
    pad_id: int | None = None

    def takes(self, shape: Shape) -> bool:
        """Say whether an item of `shape` goes in."""
        pairs = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(own in (None, size) for own, size in pairs)

    def sized(self, free: int) -> tuple[int, ...]:
        """Return the shape with `free` in place of what is free."""
        return tuple(free if size is None else size for size in self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} of shape {shape_text(self.shape)}"


def shape_text(shape: Shape) -> str:
    """Return ``"3×?×224"``."""
    return "×".join("?" if size is None else str(size) for size in shape) or "()"


def n_items_of(batch: Batch) -> int:
    """Return the number of items of a batch."""
    return len(next(iter(batch.values())))


def stacked(items: Sequence[Prepared]) -> Batch:
    """Return the batch of prepared items, whose arrays are equal in shape."""
    return {name: np.stack([item[name] for item in items]) for name in items[0]}


def blank_batch(inputs: Mapping[str, InputSpec], n_items: int, free: int = 32) -> Batch:
    """Return items of zeros, free sizes `free`; of masks ones."""
    return {
        name: np.full((n_items, *each.sized(free)), bool(each.mask_of), each.dtype)
        for name, each in inputs.items()
    }


def checked_batch(batch: Batch | Array, inputs: Mapping[str, InputSpec]) -> Batch:
    """Return what a caller gave as a batch, in the order of `inputs`; raise `ShapeError` if it
    is none.

    For a single input the array alone will do; masks that can be made of it are made.
    """
    needed = [name for name, each in inputs.items() if each.pad_id is None]
    if isinstance(batch, np.ndarray) and len(needed) == 1:
        batch = {needed[0]: batch}
    if isinstance(batch, Mapping):
        batch = with_made_masks(batch, inputs)
        if batch.keys() == inputs.keys() and _fits(batch, inputs):
            return {name: batch[name] for name in inputs}
    given = (
        ", ".join(f"{name}: {each.dtype} {each.shape}" for name, each in batch.items())
        if isinstance(batch, Mapping)
        else f"{getattr(batch, 'dtype', type(batch).__name__)} {getattr(batch, 'shape', '')}"
    )
    wanted = ", ".join(f"{name}: {each}" for name, each in inputs.items())
    raise ShapeError(
        f"The batch is not what this cut takes: {given}.",
        "All inputs have one item or more, and as many.",
        f"It takes (n_items, …) of each input:  {wanted}.",
        "Prepare items with:  cutpoint.items.kinds.prepare_item(item, spec.preprocess)",
    )


def with_made_masks(arrays: Mapping[str, Array], inputs: Mapping[str, InputSpec]) -> Batch:
    """Return arrays with the masks that are missing and can be made of what they mask."""
    found = dict(arrays)
    for name, each in inputs.items():
        if name not in found and each.pad_id is not None and each.mask_of in found:
            found[name] = (found[each.mask_of] != each.pad_id).astype(each.dtype)
    return found


def _fits(batch: Batch, inputs: Mapping[str, InputSpec]) -> bool:
    counts = {len(each) for each in batch.values()}
    return (
        len(counts) == 1
        and 0 not in counts
        and all(
            batch[name].dtype == each.dtype and each.takes(batch[name].shape[1:])
            for name, each in inputs.items()
        )
    )


def check_finite(rows: Array, what: str) -> None:
    """Raise `DataError` if a row holds NaN or infinity; `what` names the rows."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
    if len(bad):
        raise DataError(
            f"{what} holds NaN or infinity in row {bad[0]}.",
            f"{len(bad)} of {len(rows)} rows do.",
            "Finite numbers; what is extracted and kept is finite.",
            f"Leave them out with:  X[numpy.isfinite(X).all(axis={tuple(range(1, rows.ndim))})]",
        )
