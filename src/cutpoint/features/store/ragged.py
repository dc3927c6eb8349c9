"""Rows that differ in length along one axis: all their values, and where each row begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutpoint.base.errors import ShapeError
from cutpoint.base.tongue import option
from cutpoint.base.types import Array


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of one tap that differ in length.

    Attributes
    ----------
    values : array of shape (n_places, …)
        The rows one after the other, each with its free axis moved to the front.
    offsets : int64 array of shape (n_rows + 1,)
        Row i is ``values[offsets[i]:offsets[i + 1]]``.
    axis : int
        Which axis of a row is the free one.

    Examples
    --------
    >>> rows = Ragged.of([np.ones((2, 3)), np.zeros((2, 1))], axis=1)
    >>> rows.values.shape, rows.offsets.tolist(), rows[1:].rows()[0].shape
    ((4, 2), [0, 3, 4], (2, 1))
    """

    values: Array
    offsets: Array
    axis: int

    @classmethod
    def of(cls, rows: Sequence[Array], axis: int) -> Ragged:
        """Return one row or more as one."""
        fronted = [np.moveaxis(row, axis, 0) for row in rows]
        lengths = [len(row) for row in fronted]
        return cls(np.concatenate(fronted), np.concatenate([[0], np.cumsum(lengths)]), axis)

    @classmethod
    def of_padded(cls, rows: Array, axis: int, mask: Array | None, tap: str) -> Ragged:
        """Return a batch without its padding.

        Parameters
        ----------
        rows : array of shape (n_rows, …)
        mask : bool array of shape (n_rows, n_places) or None
            Which places of each item are no padding; None: all are.

        Raises
        ------
        ShapeError
            If items are padded and the tap has other places than they.
        """
        if mask is None or mask.all():
            return cls.of(list(rows), axis)
        if rows.shape[1 + axis] != mask.shape[1]:
            raise ShapeError(
                f'The padding of items is not known at "{tap}".',
                f"It gives {rows.shape[1 + axis]} places for {mask.shape[1]} of an item.",
                "A layer with one place for each of an item's; or a pool that gives one vector.",
                f"Type, for example:  {option('pool', 'gap')}",
            )
        return cls.of([row.compress(own, axis) for row, own in zip(rows, mask, strict=True)], axis)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, which: Array | slice) -> Ragged:
        """Return some rows: by numbers in any order, by mask, or by slice."""
        starts, stops = self.offsets[:-1][which], self.offsets[1:][which]
        parts = [self.values[a:b] for a, b in zip(starts, stops, strict=True)]
        values = np.concatenate(parts) if parts else self.values[:0]
        return Ragged(values, np.concatenate([[0], np.cumsum(stops - starts)]), self.axis)

    @property
    def ndim(self) -> int:
        """As of an array of rows of equal length."""
        return self.values.ndim + 1

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes + self.offsets.nbytes)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What rows must share to be put together."""
        return (self.axis, self.values.shape[1:], self.values.dtype)

    def rows(self) -> list[Array]:
        """Return each row, its axes in the layer's own order."""
        parts = np.split(self.values, self.offsets[1:-1])
        return [np.moveaxis(part, 0, self.axis) for part in parts][: len(self)]


Kept = Array | Ragged
"""Rows of a tap as they are stored."""


def concatenated(ragged: Sequence[Ragged]) -> Ragged:
    """Return the rows of several parts of one tap, one after the other."""
    starts = np.cumsum([0, *(len(part.values) for part in ragged)])
    offsets = [part.offsets[:-1] + start for part, start in zip(ragged, starts, strict=False)]
    values = np.concatenate([part.values for part in ragged])
    return Ragged(values, np.concatenate([*offsets, starts[-1:]]), ragged[0].axis)
