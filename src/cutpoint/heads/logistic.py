"""Logistic regression whose C and temperature come from rows left out in folds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from cutpoint.errors import UsageError
from cutpoint.heads.base import LinearHead
from cutpoint.heads.folds import N_WORSE, Folds, inner_folds
from cutpoint.heads.softmax_regression import SoftmaxRegression, Solution
from cutpoint.metrics import log_loss
from cutpoint.types import Float64


class LogisticHead(LinearHead):
    """Multinomial logistic regression with an L2 penalty and an unpenalised intercept.

    Parameters
    ----------
    C : float or sequence of float, optional
        Inverse penalty as scikit-learn means it, or candidates for it. By default 13 values from
        10⁻² to 10⁴ over the mean squared length of a centred row. The one with the smallest
        log-loss on rows left out is taken; the first of equals.
    tol : float
        The largest entry of the gradient of the mean log-loss at which a fit ends.
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
    path_: tuple[tuple[float, float], ...]

    def __init__(self, C: Any = None, tol: float = 1e-6, random_state: int = 0) -> None:
        self.C = C
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; C and temperature come from rows left out in five folds."""
        X, truth = self._rows_to_fit(X, y)
        regression = SoftmaxRegression(X, truth, len(self.classes_), self.tol)
        candidates = self._candidates(regression)
        folds = inner_folds(truth, groups, self.random_state)
        if folds:
            self._follow(regression, candidates, folds)
        else:
            # Nothing to choose on: the middle of the path.
            self.C_, self.path_ = float(candidates[len(candidates) // 2]), ()
            self.held_out_scores_ = np.full((len(truth), len(self.classes_)), np.nan)
        solution = regression.fit(self.C_)
        self.coef_, self.intercept_ = regression.in_features(solution)
        self._calibrate(truth)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"C": self.C_}

    def _candidates(self, regression: SoftmaxRegression) -> Float64:
        if self.C is None:
            return np.logspace(-2, 4, 13) / (regression.spectrum.mean_variance or 1.0)
        values = np.unique(np.asarray(self.C, np.float64))  # rising
        if not len(values) or not (values > 0).all():
            raise UsageError(
                f"Logistic regression with C={self.C} was asked for.",
                "C must be positive.",
                "One value above 0, several, or none: then candidates fit the features' scale.",
                'Type, for example:  --head "logistic(C=1)"',
            )
        return values

    def _follow(self, regression: SoftmaxRegression, candidates: Float64, folds: Folds) -> None:
        """Choose C by the log-loss of rows left out, all folds side by side."""
        judged = np.sort(np.concatenate([judge for _, judge in folds]))
        truth = regression.truth[judged]
        starts: list[Solution | None] = [None] * len(folds)
        path: list[tuple[float, float]] = []
        best, n_worse = np.inf, 0
        for C in candidates:
            scores = np.full((len(regression.truth), regression.n_classes), np.nan)
            for place, (learn, judge) in enumerate(folds):
                found = regression.fit(C, learn, starts[place])
                starts[place], scores[judge] = found, found.scores(regression.Z[judge])
            loss, n_worse = log_loss(scores[judged], truth), n_worse + 1
            path.append((float(C), loss))
            if loss < best:
                best, n_worse, self.C_, self.held_out_scores_ = loss, 0, float(C), scores
            if n_worse == N_WORSE:
                break
        self.path_ = tuple(path)
