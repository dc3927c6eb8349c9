"""Folds of training rows: even in classes, whole in groups, the same each time."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array

N_FOLDS = 5


def make_folds(truth: Array, groups: Array | None) -> list[tuple[Array, Array]]:
    """Return, for each fold, the places to learn from and those to judge.

    Parameters
    ----------
    truth : int array of shape (n_items,)
        Class numbers.
    groups : array of shape (n_items,) or None
        Rows of one group stay together.
    """
    kept_together = np.arange(len(truth)) if groups is None else groups
    n_groups = len(np.unique(kept_together))
    if n_groups < 2:
        raise UsageError(
            "Folds of training rows were asked for.",
            f"All {len(truth)} rows are of one group, so none is left to learn from.",
            "Two groups or more.",
            "Look at them with:  numpy.unique(groups)",
        )
    counts = np.bincount(truth)
    if counts.max() < 2:
        raise UsageError(
            f"{len(truth)} training rows are too few for folds: no class has two.",
            "A fold judges rows of classes that others were learned from.",
            "Two rows or more of a class.",
            "Leave out what is judged in folds: --nested, a recipe that learns, or a strategy",
        )
    n_folds = max(2, min(N_FOLDS, int(counts[counts > 0].min()), n_groups))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # a class of one row can't be even over folds
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(truth, truth, kept_together))
