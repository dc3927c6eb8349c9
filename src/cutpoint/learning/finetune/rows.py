"""What training reads: rows of items in several views, by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cutpoint.base.types import Array, Batch

Ragged = list[Array]
"""One array an item, of unequal lengths along the first axis."""


class Rows(Protocol):
    """Items to train on.

    Attributes
    ----------
    n_views : int
    """

    @property
    def n_views(self) -> int: ...

    def batch(self, rows: Array, views: Array) -> Batch:
        """Return these items, each in one of the views; view 0 is the plain one."""


@dataclass(frozen=True)
class StoredRows:
    """What was extracted once.

    Attributes
    ----------
    views : sequence of mapping of name → array of shape (n_items, …), or Ragged
        One mapping a view, of equal names and shapes.
    masks : tuple of str
        What masks are called that say how long ragged items are.
    """

    views: Sequence[Mapping[str, Array | Ragged]]
    masks: tuple[str, ...] = ()

    @property
    def n_views(self) -> int:
        return len(self.views)

    def batch(self, rows: Array, views: Array) -> Batch:
        found: dict[str, Array] = {}
        for name, first in self.views[0].items():
            if isinstance(first, list):
                each = [self.views[v][name][r] for r, v in zip(rows, views, strict=True)]
                found[name], mask = padded(each)
                found |= dict.fromkeys(self.masks, mask)
            else:
                found[name] = self._gathered(name, first, rows, views)
        return found

    def _gathered(self, name: str, first: Array, rows: Array, views: Array) -> Array:
        out = np.empty((len(rows), *first.shape[1:]), first.dtype)
        for view in np.unique(views):
            which = views == view
            out[which] = self.views[view][name][rows[which]]
        return out

    @property
    def n_bytes(self) -> int:
        every = (each for view in self.views for each in view.values())
        return sum(
            sum(row.nbytes for row in each) if isinstance(each, list) else each.nbytes
            for each in every
        )


def padded(items: Ragged) -> tuple[Array, Array]:
    """Return items as one array, filled up with zeros, and the mask of what is no filling."""
    longest = max(len(each) for each in items)
    out = np.zeros((len(items), longest, *items[0].shape[1:]), items[0].dtype)
    mask = np.zeros((len(items), longest), np.int64)
    for place, each in enumerate(items):
        out[place, : len(each)] = each
        mask[place, : len(each)] = 1
    return out, mask
