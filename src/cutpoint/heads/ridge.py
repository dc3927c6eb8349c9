"""Ridge classifier whose λ and temperature come from exact leave-one-out scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from cutpoint.gram import Spectrum, alpha_grid, one_hot
from cutpoint.metrics import fit_temperature, softmax
from cutpoint.types import Array, Float64


class RidgeHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Ridge regression on one-hot targets with an unpenalised intercept.

    Parameters
    ----------
    alphas : sequence of float, optional
        Candidates for λ. By default 20 values from 10⁻⁴ to 10³ times the mean squared length of
        a centred row. The one with the smallest leave-one-out squared error is taken.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    alpha_ : float
    coef_ : float64 array of shape (n_classes, n_features)
    intercept_ : float64 array of shape (n_classes,)
    temperature_ : float
        Fitted on the leave-one-out scores.
    loo_scores_ : float64 array of shape (n_items, n_classes)
        Scores of each training row by the model fitted without it.
    loo_mse_ : float
        Their mean squared error.
    """

    def __init__(self, alphas: Any = None) -> None:
        self.alphas = alphas

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows.

        Parameters
        ----------
        X : array of shape (n_items, n_features)
        y : array of shape (n_items,)
            Class labels, two or more.
        groups : array of shape (n_items,), optional
            Rows of one group are left out together when λ and temperature are chosen.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"RidgeHead needs two classes or more, got 1 class: {self.classes_}")
        spectrum = Spectrum(X)
        targets = one_hot(truth, range(len(self.classes_)))
        self.alpha_, self.loo_scores_, self.loo_mse_ = best_alpha(
            spectrum, targets, self.alphas, groups
        )
        solution = spectrum.solve(targets, self.alpha_)
        self.coef_, self.intercept_ = solution.coef, solution.intercept
        self.temperature_ = fit_temperature(self.loo_scores_, truth)
        return self

    def class_scores(self, X: Any) -> Float64:
        """Return ridge scores, (n_items, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float64)

    def decision_function(self, X: Any) -> Float64:
        """Return scores in scikit-learn's shape: (n_items,) for two classes."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> Array:
        """Return the class of each row."""
        columns = self.class_scores(X).argmax(axis=1)
        labels: Array = self.classes_[columns]
        return labels

    def predict_proba(self, X: Any) -> Float64:
        """Return calibrated probabilities, (n_items, n_classes)."""
        scores = self.class_scores(X)
        return softmax(scores, self.temperature_)

    def to_arrays(self) -> dict[str, Array]:
        """Return what must be kept to predict."""
        check_is_fitted(self)
        return {"coef": self.coef_, "intercept": self.intercept_}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], classes: Any, alpha: float, temperature: float
    ) -> RidgeHead:
        """Return a fitted head from what `to_arrays` and the attributes gave."""
        head = cls()
        head.classes_ = np.asarray(classes)
        head.alpha_, head.temperature_ = alpha, temperature
        head.coef_, head.intercept_ = arrays["coef"], arrays["intercept"]
        head.n_features_in_ = head.coef_.shape[1]
        return head


def best_alpha(
    spectrum: Spectrum, targets: Float64, alphas: Any = None, groups: Array | None = None
) -> tuple[float, Float64, float]:
    """Return the λ with the smallest leave-one-out squared error, its scores, and that error.

    Notes
    -----
    The squared error, not the accuracy: it is smooth, so it does not pick among near-equal λ by
    the luck of a few rows. The accuracy that is then reported was not maximised over λ.
    """
    best: tuple[float, Float64, float] | None = None
    for alpha in alpha_grid(spectrum) if alphas is None else alphas:
        scores = spectrum.loo(targets, float(alpha), groups)
        error = float(((scores - targets) ** 2).mean())
        if best is None or error < best[2]:
            best = (float(alpha), scores, error)
    if best is None:
        raise ValueError("alphas is empty; give one λ > 0 or more")
    return best
