"""Folds of rows: classes even, groups whole, the same each time.

`outer_folds` judge a whole choice, every row once; `inner_folds` choose a head's parameter, where a
row whose class would be lost with it is learned from and never judged; `value_folds` know no class.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.base.types import Array

N_FOLDS = 5

Folds = list[tuple[Array, Array]]
"""Rows to learn from and rows to judge."""


def outer_folds(truth: Array, groups: Array | None) -> Folds:
    """Return, for each fold, the places to learn from and those to judge; each is judged once.

    Parameters
    ----------
    truth : int array of shape (n_items,)
        Class numbers.
    groups : array of shape (n_items,) or None
        Rows of one group stay together.
    """
    units = units_of(len(truth), groups)
    n_groups = len(np.unique(units))
    if n_groups < 2:
        raise UsageError(
            f"Folds can't be made: all {len(truth)} training rows are of one group.",
            "None is left to learn from while the others are judged.",
            "Two groups or more.",
            "Look at them with:  numpy.unique(groups)",
        )
    counts = np.bincount(truth)
    if counts.max() < 2:
        raise UsageError(
            f"{len(truth)} training rows are too few for folds: no class has two.",
            "A fold judges rows of classes that others were learned from.",
            "Two rows or more of a class.",
            f"Leave out what is judged in folds: {option('nested')}, a recipe that learns, or a "
            "strategy",
        )
    n_folds = max(2, min(N_FOLDS, int(counts[counts > 0].min()), n_groups))
    with warnings.catch_warnings():  # a class of one row can't be even over folds
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return _split(StratifiedGroupKFold, truth, units, n_folds, 0)


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
    units = units_of(len(truth), groups)
    judged = _can_be_judged(truth, units)
    rows, always = np.flatnonzero(judged), np.flatnonzero(~judged)
    if not len(rows):
        return []
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    counts = _units_of_classes(truth[rows], units[rows])
    for n in range(min(n_folds, counts[counts > 0].min()), 1, -1):
        folds = [
            (np.sort(np.concatenate([rows[learn], always])), rows[judge])
            for learn, judge in _split(kind, truth[rows], units[rows], n, seed)
        ]
        if all(set(truth[judge]) <= set(truth[learn]) for learn, judge in folds):
            return folds
    return []


def value_folds(n_items: int, groups: Array | None = None, seed: int = 0) -> Folds:
    """Return folds of rows without classes; each is judged once, groups stay whole."""
    units = units_of(n_items, groups)
    n_folds = min(N_FOLDS, len(np.unique(units)))
    splitter = GroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(units, None, units))


def units_of(n_items: int, groups: Array | None) -> Array:
    """Return the number of each row's group; each row is its own where there are none."""
    if groups is None:
        return np.arange(n_items)
    return np.asarray(np.unique(groups, return_inverse=True)[1])


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


def _split(kind: type, truth: Array, units: Array, n_folds: int, seed: int) -> Folds:
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(truth, truth, None if kind is StratifiedKFold else units))
