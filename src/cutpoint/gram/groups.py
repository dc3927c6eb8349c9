"""Rows that are left out together."""

from __future__ import annotations

import numpy as np

from cutpoint.errors import ShapeError, UsageError
from cutpoint.types import Array, Float64


def blocks_of(groups: Array | None, weights: Float64) -> list[Array]:
    """Return, for each size of two or more, the row numbers (n_groups, size) of its groups.

    Raises
    ------
    UsageError
        If all rows that weigh anything are of one group, so that nothing is left to fit on.
    """
    if groups is None:
        return []
    groups = np.asarray(groups)
    if groups.shape != weights.shape:
        raise ShapeError(
            "Leaving groups out was asked for.",
            f"The groups have shape {groups.shape}, and there are {len(weights)} rows.",
            f"Shape ({len(weights)},).",
            "Look at it with:  groups.shape",
        )
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if np.count_nonzero(np.bincount(inverse, weights)) < 2:
        raise UsageError(
            "Leaving groups out was asked for.",
            f"All {np.count_nonzero(weights)} rows are of one group, so nothing is left to fit on.",
            "Two groups or more.",
            "Look at them with:  numpy.unique(groups)",
        )
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(counts)[:-1])
    sizes = np.unique(counts[counts > 1])
    return [np.array([rows for rows in members if len(rows) == size]) for size in sizes]
