"""Ridge classifier whose λ and temperature come from exact leave-one-out scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Spectrum, alpha_grid, loo_path, one_hot
from cutpoint.learning.heads.base import LinearHead
from cutpoint.learning.heads.penalties import PENALTIES
from cutpoint.learning.shared.limits import Limit


class RidgeHead(LinearHead):
    """Ridge regression on one-hot targets with an unpenalised intercept.

    Parameters
    ----------
    alphas : float or sequence of float, optional
        λ, or candidates for it. By default 20 values from 10⁻⁴ to 10³ times the mean squared length
        of a centred row. The one with the smallest leave-one-out squared error is taken.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    alpha_ : float
    coef_ : float64 array of shape (n_classes, n_features)
    intercept_ : float64 array of shape (n_classes,)
    temperature_ : float
        Fitted on the leave-one-out scores.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        Scores of each training row by the model fitted without it.
    loo_mse_ : float
        Their mean squared error.
    """

    kind = "ridge"
    limits: ClassVar[Mapping[str, Limit]] = {"alphas": PENALTIES}

    def __init__(self, alphas: Any = None) -> None:
        self.alphas = alphas

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows; λ and temperature come from rows left out."""
        X, truth = self._rows_to_fit(X, y, groups)
        spectrum = Spectrum(X)
        targets = one_hot(truth, range(len(self.classes_)))
        self.alpha_, self.held_out_scores_, self.loo_mse_ = best_alpha(
            spectrum, targets, self.alphas, groups
        )
        solution = spectrum.solve(targets, self.alpha_)
        self.coef_, self.intercept_ = solution.coef, solution.intercept
        self._calibrate(truth)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"alpha": self.alpha_}


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
