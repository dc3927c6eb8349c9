"""C, the inverse penalty of linear heads: its candidates, and the choice among them in folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.shared.folds import Folds
from cutpoint.learning.shared.limits import POSITIVE, several

N_WORSE = 2
"""A path of rising C ends after so many values in a row that are worse than the best."""


PENALTIES = several(POSITIVE).or_none.like(1)
"""What C, or λ, may be: without any, candidates fit the features' scale."""


def rising(C: Any, otherwise: Float64) -> Float64:
    """Return the values of C to try, rising: those given, one or several, or else `otherwise`."""
    return otherwise if C is None else np.unique(np.asarray(C, np.float64))


@dataclass(frozen=True)
class Path:
    """What was found along rising C.

    Attributes
    ----------
    C : float
        The one with the least loss on rows left out; the first of equals.
    scores : float64 array of shape (n_items, n_classes)
        Out of fold, at that C; NaN where a row is never judged.
    steps : tuple of (C, loss)
        As far as it was followed.
    """

    C: float
    scores: Float64
    steps: tuple[tuple[float, float], ...]


def follow(
    candidates: Float64,
    folds: Folds,
    shape: tuple[int, int],
    in_fold: Callable[[float, int], Array],
    loss: Callable[[Float64, Array], float],
) -> Path:
    """Choose C by rows left out, all folds side by side.

    Parameters
    ----------
    candidates : float64 array
        Rising.
    folds : list of (learn, judge)
        Without any the middle candidate is taken.
    shape : tuple of int
        Rows and classes.
    in_fold : callable
        ``in_fold(C, number of the fold)`` → scores of the rows it judges. A fold is asked for one C
        after the other, so that a fit may begin where the last one ended.
    loss : callable
        Takes the scores of judged rows and the numbers of those rows.
    """
    best = Path(float(candidates[len(candidates) // 2]), np.full(shape, np.nan), ())
    if not folds:
        return best
    judged = np.sort(np.concatenate([judge for _, judge in folds]))
    least, n_worse = np.inf, 0
    steps: list[tuple[float, float]] = []
    for C in candidates.tolist():
        scores = np.full(shape, np.nan)
        for number, (_, judge) in enumerate(folds):
            scores[judge] = in_fold(C, number)
        steps.append((C, loss(scores[judged], judged)))
        n_worse += 1
        if steps[-1][1] < least:
            least, n_worse, best = steps[-1][1], 0, Path(C, scores, ())
        if n_worse == N_WORSE:
            break
    return Path(best.C, best.scores, tuple(steps))
