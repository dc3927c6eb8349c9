"""Folds within training rows: classes even, groups whole, every class there to learn from."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from cutpoint.base.types import Array

N_FOLDS = 5

Folds = list[tuple[Array, Array]]
"""Rows to learn from and rows to judge."""


def inner_folds(
    truth: Array, groups: Array | None = None, seed: int = 0, n_folds: int = N_FOLDS
) -> Folds:
    """Return folds in which no row is judged without its class being learned.

    Parameters
    ----------
    truth : int array of shape (n_items,)
        Number of each row's class.
    groups : array of shape (n_items,), optional
        Rows of one group are on one side.
    n_folds : int
        At most; no more than the rarest judged class has groups.

    Returns
    -------
    folds : list of (learn, judge), int arrays
        Rows whose class is in one group alone are always learned from and never judged. Empty if
        nothing can be judged.
    """
    units = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    judged = _can_be_judged(truth, units)
    rows, always = np.flatnonzero(judged), np.flatnonzero(~judged)
    if not len(rows):
        return []
    counts = _units_of_classes(truth[rows], units[rows])
    for n in range(min(n_folds, counts[counts > 0].min()), 1, -1):
        folds = [
            (np.sort(np.concatenate([rows[learn], always])), rows[judge])
            for learn, judge in _split(truth[rows], units[rows], groups is None, n, seed)
        ]
        if all(set(truth[judge]) <= set(truth[learn]) for learn, judge in folds):
            return folds
    return []


def _can_be_judged(truth: Array, units: Array) -> Array:
    """Say which rows leave, with all of their group, something of their class to learn from."""
    judged = np.ones(len(truth), dtype=bool)
    while True:
        counts = _units_of_classes(truth[judged], units[judged])
        lone = judged & (counts[np.minimum(truth, len(counts) - 1)] < 2)
        if not lone.any():
            return judged
        judged &= ~np.isin(units, units[lone])


def _units_of_classes(truth: Array, units: Array) -> Array:
    """Return how many groups each class is in."""
    if not len(truth):
        return np.zeros(1, dtype=int)
    pairs = np.unique(np.stack([truth, units]), axis=1)
    return np.bincount(pairs[0])


def _split(truth: Array, units: Array, is_plain: bool, n_folds: int, seed: int) -> Folds:
    kind = StratifiedKFold if is_plain else StratifiedGroupKFold
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(truth, truth, None if is_plain else units))
