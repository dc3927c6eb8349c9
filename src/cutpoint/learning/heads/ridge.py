"""Ridge whose λ, and what makes scores probabilities, come from exact leave-one-out scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Spectrum, alpha_grid, loo_path, one_hot
from cutpoint.learning.heads.base import LinearHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.labels import Labeller
from cutpoint.learning.heads.penalties import PENALTIES
from cutpoint.learning.heads.values import Regressor
from cutpoint.learning.shared.limits import Limit


class Ridge(LinearHead):
    """Ridge regression with an unpenalised intercept.

    Parameters
    ----------
    alphas : float or sequence of float, optional
        λ, or candidates for it. By default 20 values from 10⁻⁴ to 10³ times the mean squared length
        of a centred row. The one with the smallest leave-one-out squared error is taken.

    Attributes
    ----------
    alpha_ : float
    coef_ : float64 array of shape (n_outputs, n_features)
    intercept_ : float64 array of shape (n_outputs,)
    held_out_scores_ : float64 array of shape (n_items, n_outputs)
        Scores of each training row by the model fitted without it.
    loo_mse_ : float
        Their mean squared error.
    """

    kind = "ridge"
    limits: ClassVar[Mapping[str, Limit]] = {"alphas": PENALTIES}

    def __init__(self, alphas: Any = None) -> None:
        self.alphas = alphas

    @property
    def chosen(self) -> dict[str, Any]:
        return {"alpha": self.alpha_}

    def _solve(self, X: Array, targets: Float64, groups: Any) -> None:
        spectrum = Spectrum(X)
        self.alpha_, self.held_out_scores_, self.loo_mse_ = best_alpha(
            spectrum, targets, self.alphas, groups
        )
        solution = spectrum.solve(targets, self.alpha_)
        self.coef_, self.intercept_ = solution.coef, solution.intercept


class RidgeHead(Ridge, Classifier):
    """Ridge on one-hot targets: a head of classes; see `Ridge`."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; λ and temperature come from rows left out."""
        X, truth = self._rows_to_fit(X, y, groups)
        self._solve(X, one_hot(truth, range(len(self.classes_))), groups)
        self._calibrate(truth)
        return self


class RidgeRegressor(Ridge, Regressor):
    """Ridge on values; see `Ridge`.

    Attributes
    ----------
    loo_mse_ : float
        As a share of the values' variance.

    References
    ----------
    Agrees with `sklearn.linear_model.Ridge` at equal λ, and of one value with `RidgeCV` in the
    choice of it, to 1e-8.
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; λ comes from rows left out, the same for all values."""
        X, values = self._rows_to_fit(X, y, groups)
        scale = values.std(axis=0)
        self._solve(X, values / scale, groups)
        self.coef_, self.intercept_ = self.coef_ * scale[:, None], self.intercept_ * scale
        self.held_out_scores_ = self.held_out_scores_ * scale
        return self


class RidgeLabeller(Ridge, Labeller):
    """Ridge on zeros and ones, one label against the rest; see `Ridge`.

    Probabilities and thresholds come from leave-one-out scores, exact ones.
    """

    def fit(self, X: Any, y: Any, groups: Any = None, names: Sequence[Any] | None = None) -> Self:
        """Fit on training rows; `names` are those of the labels, one per column of y."""
        X, truth = self._rows_to_fit(X, y, groups, names)
        self._solve(X, truth, groups)
        self._calibrate(truth)
        return self


def best_alpha(
    spectrum: Spectrum, targets: Float64, alphas: Any = None, groups: Array | None = None
) -> tuple[float, Float64, float]:
    """Return the λ with the smallest leave-one-out squared error, its scores, and that error.

    Notes
    -----
    The squared error, not the accuracy: it is smooth, so it does not pick among near-equal λ by
    the luck of a few rows. The accuracy that is then reported was not maximised over λ.
    """
    grid = alpha_grid(spectrum) if alphas is None else np.atleast_1d(alphas)
    path = loo_path(spectrum, targets, grid, groups)
    return path.alpha, path.scores, path.mse
