"""Photos prepared anew in every epoch, for training that stores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cutpoint.base.spec import Preprocess
from cutpoint.base.types import Array, Batch, stacked
from cutpoint.features.extraction.unit import prepare
from cutpoint.items.kinds import viewed
from cutpoint.items.reading import Item


@dataclass(frozen=True)
class FreshRows:
    """Items that are read whenever they are wanted.

    Attributes
    ----------
    items : sequence of Item
    preprocess : Preprocess
    constants : mapping of tap → array of shape (n_items, …)
        Those of the plain view.
    n_views : int
        Views that are drawn from; so many that hardly one comes twice.
    """

    items: Sequence[Item]
    preprocess: Preprocess
    n_views: int = 1
    seed: int = 0
    constants: Mapping[str, Array] = field(default_factory=dict)

    def batch(self, rows: Array, views: Array) -> Batch:
        prepared = [
            prepare(self.items[row], viewed(self.preprocess, int(view), self.seed))[0]
            for row, view in zip(rows, views, strict=True)
        ]
        found = dict(stacked(prepared))
        return {**found, **{name: np.asarray(x[rows]) for name, x in self.constants.items()}}
