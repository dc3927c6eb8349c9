"""Linear support vector machines (scikit-learn's), C by folds, kept as its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone
from sklearn.svm import LinearSVC, LinearSVR

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import LinearHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.penalties import PENALTIES, follow, rising
from cutpoint.learning.heads.values import Regressor, relative_error
from cutpoint.learning.metrics import fit_temperature, log_loss
from cutpoint.learning.shared.folds import inner_folds, value_folds
from cutpoint.learning.shared.limits import SEED, WEIGHT, Limit


class SVMHead(LinearHead, Classifier):
    """One against the rest with the squared hinge loss: `sklearn.svm.LinearSVC`.

    Parameters
    ----------
    C : float or sequence of float, optional
        Inverse penalty, or candidates for it. By default 7 values from 10⁻⁴ to 10² over the mean
        squared length of a centred row. The one whose calibrated scores of rows left out have the
        smallest log-loss is taken, the first of equals; rising C is given up after two values in a
        row without progress.
    random_state : int
        Draws the folds, and the order of rows in the solver for wide features.

    Attributes
    ----------
    C_ : float
    path_ : tuple of (C, log-loss on rows left out)
        As far as it was followed.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        Out of fold, at `C_`.
    """

    kind = "svm"
    limits: ClassVar[Mapping[str, Limit]] = {"C": PENALTIES, "random_state": SEED}
    path_: tuple[tuple[float, float], ...]

    def __init__(self, C: Any = None, random_state: int = 0) -> None:
        self.C = C
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; C and temperature come from rows left out in five folds."""
        X, truth = self._rows_to_fit(X, y, groups)
        rows = X.astype(np.float64)
        candidates = _candidates(self.C, rows)
        folds = inner_folds(truth, groups, self.random_state)

        def in_fold(C: float, number: int) -> Float64:
            learn, judge = folds[number]
            coef, intercept = self._weights(rows[learn], truth[learn], C)
            return np.asarray(rows[judge] @ coef.T + intercept)

        def loss(scores: Float64, judged: Array) -> float:
            right = truth[judged]
            return log_loss(scores / fit_temperature(scores, right), right)

        path = follow(candidates, folds, (len(rows), len(self.classes_)), in_fold, loss)
        self.C_, self.held_out_scores_, self.path_ = path.C, path.scores, path.steps
        self.coef_, self.intercept_ = self._weights(rows, truth, self.C_)
        self._calibrate(truth)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"C": self.C_}

    def _weights(self, rows: Float64, truth: Array, C: float) -> tuple[Float64, Float64]:
        """Return one row of weights per class; of two classes the second against the first."""
        # "auto": the primal for tall features, which converges at any scale; the dual for wide.
        kind = LinearSVC(C=C, dual="auto", max_iter=10_000, random_state=self.random_state)
        fitted = kind.fit(rows, truth)
        if len(fitted.coef_) == 1:
            half = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
            return np.stack([-half[0], half[0]]), np.array([-half[1], half[1]])
        return np.ascontiguousarray(fitted.coef_), fitted.intercept_


class SVMRegressor(LinearHead, Regressor):
    """Squared errors beyond a tolerance: `sklearn.svm.LinearSVR`, one a value.

    Parameters
    ----------
    C : float or sequence of float, optional
        Inverse penalty, or candidates for it, as those of `SVMHead`; the one with the smallest
        squared error of rows left out is taken.
    epsilon : float
        Errors up to it count nothing; deviations of the value.
    random_state : int
        Draws the folds, and the order of rows in the solver for wide features.

    Attributes
    ----------
    C_ : float
    path_ : tuple of (C, squared error of rows left out as a share of the variance)
        As far as it was followed.
    held_out_scores_ : float64 array of shape (n_items, n_values)
        Out of fold, at `C_`.
    """

    kind = "svm"
    limits: ClassVar[Mapping[str, Limit]] = {
        "C": PENALTIES,
        "epsilon": WEIGHT,
        "random_state": SEED,
    }
    path_: tuple[tuple[float, float], ...]

    def __init__(self, C: Any = None, epsilon: float = 0.1, random_state: int = 0) -> None:
        self.C = C
        self.epsilon = epsilon
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; C comes from rows left out in five folds."""
        X, values = self._rows_to_fit(X, y, groups)
        rows, mean, scale = X.astype(np.float64), values.mean(axis=0), values.std(axis=0)
        targets = (values - mean) / scale
        folds = value_folds(len(rows), groups, self.random_state)

        def in_fold(C: float, number: int) -> Float64:
            learn, judge = folds[number]
            coef, intercept = self._weights(rows[learn], targets[learn], C)
            return np.asarray(rows[judge] @ coef.T + intercept)

        def loss(found: Float64, judged: Array) -> float:
            return relative_error(found, targets[judged])

        path = follow(_candidates(self.C, rows), folds, targets.shape, in_fold, loss)
        self.C_, self.path_ = path.C, path.steps
        self.held_out_scores_ = path.scores * scale + mean
        coef, intercept = self._weights(rows, targets, self.C_)
        self.coef_, self.intercept_ = coef * scale[:, None], intercept * scale + mean
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"C": self.C_}

    def _weights(self, rows: Float64, targets: Float64, C: float) -> tuple[Float64, Float64]:
        """Return one row of weights a value, and the intercepts."""
        kind = LinearSVR(
            C=C,
            loss="squared_epsilon_insensitive",
            epsilon=self.epsilon,
            dual="auto",
            max_iter=10_000,
            random_state=self.random_state,
        )
        fits = [clone(kind).fit(rows, each) for each in targets.T]
        return np.stack([f.coef_ for f in fits]), np.array([float(f.intercept_[0]) for f in fits])


def _candidates(C: Any, rows: Float64) -> Float64:
    unit = float(rows.var(axis=0).sum()) or 1.0
    return rising(C, np.logspace(-4, 2, 7) / unit)
