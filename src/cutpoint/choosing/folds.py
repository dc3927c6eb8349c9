"""Folds of training rows: even in classes, whole in groups, the same each time."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cutpoint.types import Array

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
    smallest = int(np.bincount(truth).min())
    n_folds = max(2, min(N_FOLDS, smallest))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    kept_together = np.arange(len(truth)) if groups is None else groups
    return list(splitter.split(truth, truth, kept_together))
