"""Logistic regression whose C and temperature come from rows left out in folds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import LinearHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.penalties import PENALTIES, follow, rising
from cutpoint.learning.heads.softmax_regression import TOL, SoftmaxRegression, Solution
from cutpoint.learning.metrics import log_loss
from cutpoint.learning.shared.folds import inner_folds
from cutpoint.learning.shared.limits import RATE, SEED, Limit


class LogisticHead(LinearHead, Classifier):
    """Multinomial logistic regression with an L2 penalty and an unpenalised intercept.

    Parameters
    ----------
    C : float or sequence of float, optional
        Inverse penalty as scikit-learn means it, or candidates for it. By default 13 values from
        10⁻² to 10⁴ over the mean squared length of a centred row, and while the loss still falls up
        to 6 more, to 10⁷. The one with the smallest log-loss on rows left out is taken; the first
        of equals.
    tol : float
        A fit ends where the gradient's length is so small a share of the penalty's part of it:
        there the weights are within about `tol` of their length. Where it does not get there,
        `sklearn.exceptions.ConvergenceWarning` says so.
    random_state : int
        Draws the folds.

    Attributes
    ----------
    C_ : float
    path_ : tuple of (C, log-loss on rows left out)
        As far as it was followed: rising C is given up after two values in a row without progress.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        Out of fold, at `C_`.

    Notes
    -----
    Each fold follows the path from small C to large, starting where the last fit ended.

    References
    ----------
    Agrees with `sklearn.linear_model.LogisticRegression` at equal C to 1e-5.
    """

    kind = "logistic"
    limits: ClassVar[Mapping[str, Limit]] = {
        "C": PENALTIES,
        "tol": RATE,
        "random_state": SEED,
    }
    path_: tuple[tuple[float, float], ...]

    def __init__(self, C: Any = None, tol: float = TOL, random_state: int = 0) -> None:
        self.C = C
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; C and temperature come from rows left out in five folds."""
        X, truth = self._rows_to_fit(X, y, groups)
        regression = SoftmaxRegression(X, truth, len(self.classes_), self.tol)
        unit = regression.spectrum.mean_variance or 1.0
        candidates = rising(self.C, np.logspace(-2, 7, 19) / unit)
        folds = inner_folds(truth, groups, self.random_state)
        if self.C is None and not folds:  # the middle one then, of those that are usual
            candidates = candidates[:13]
        starts: list[Solution | None] = [None] * len(folds)

        def in_fold(C: float, number: int) -> Float64:
            learn, judge = folds[number]
            starts[number] = found = regression.fit(C, learn, starts[number])
            return found.scores(regression.Z[judge])

        def loss(scores: Float64, rows: Array) -> float:
            return log_loss(scores, truth[rows])

        path = follow(candidates, folds, (len(X), len(self.classes_)), in_fold, loss)
        self.C_, self.held_out_scores_, self.path_ = path.C, path.scores, path.steps
        solution = regression.fit(self.C_)
        self.coef_, self.intercept_ = regression.in_features(solution)
        self._calibrate(truth)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"C": self.C_}
