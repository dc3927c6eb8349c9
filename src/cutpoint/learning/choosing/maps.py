"""Which stored map a learned pool should train on: the one whose mean over space says most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cutpoint.base.progress import Reporter
from cutpoint.base.types import Array
from cutpoint.features.store import Features
from cutpoint.items.reading import AUTO
from cutpoint.learning.choosing.rank_taps import rank
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import ChooseOptions
from cutpoint.networks.pooling import pool_gap

_CHUNK_ROWS = 64  # maps in memory at a time


@dataclass(frozen=True)
class _MapMeans(Features):
    """Features whose stored maps are seen as their means; layouts are by tap name."""

    of_maps: Mapping[str, str] = field(default_factory=dict)

    def X(self, tap: str, rows: Array | None = None) -> Array:  # noqa: N802  scikit-learn's name
        wanted = np.arange(len(self)) if rows is None else rows
        parts = [
            pool_gap(super(_MapMeans, self).X(tap, part).astype(np.float32), self.of_maps[tap])
            for part in np.split(wanted, range(_CHUNK_ROWS, len(wanted), _CHUNK_ROWS))
        ]
        return np.concatenate(parts)


def rank_maps(
    features: Features,
    layouts: Mapping[str, str],
    reporter: Reporter | None = None,
    kind: str = AUTO,
) -> Ranking:
    """Rank stored maps by exact leave-one-out ridge on their means over space.

    A cheap stand-in for training a pool on each of them; none is trained here.

    Parameters
    ----------
    features : Features
    layouts : mapping of str to str
        Tap name → layout of its batch, ``"NCHW"``, of each stored map.
    kind : {"auto", "classes", "labels", "values"}
        What labels are.

    Raises
    ------
    DataError
        If there are no training rows with labels of two classes.
    """
    means = _MapMeans(
        features.spec, features.fields, features.places, features.folder,
        features._opened, layouts,
    )  # fmt: skip
    options = ChooseOptions(strategies=("single",), kind=kind, taps=tuple(layouts))
    return rank(means, reporter, options)
