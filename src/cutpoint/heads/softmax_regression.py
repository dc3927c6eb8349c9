"""Softmax regression with an L2 penalty, by L-BFGS along the rows' own axes.

Turning rows into the axes of their spread keeps every length and angle among them, and the penalty
with them: the solution is the same as in the features. For more features than rows it is smaller,
exactly, as the solution lies in the rows' span. Centred, and of mean squared length one, rows of
any network converge alike. A scale for each axis by the curvature there was tried and took several
times as many steps: where C is large the penalty is the curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from cutpoint.gram import Spectrum
from cutpoint.types import Array, Float64


@dataclass(frozen=True)
class Solution:
    """Weights along the axes and intercepts: scores are ``Z @ weights.T + intercept``.

    Attributes
    ----------
    weights : float64 array of shape (n_classes, n_axes)
    intercept : float64 array of shape (n_classes,)
    """

    weights: Float64
    intercept: Float64

    def scores(self, Z: Array) -> Float64:
        return np.asarray(Z @ self.weights.T + self.intercept)


class SoftmaxRegression:
    """Fits on rows of one matrix for any C and any subset of its rows.

    Minimises ``C Σ log-loss + ½ ‖weights‖²`` as scikit-learn does. Of two classes scikit-learn
    penalises the difference of their weights alone; the penalty is doubled here to the same end.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
    truth : int array of shape (n_items,)
    n_classes : int
    tol : float
        The largest entry of the gradient of the mean log-loss at which a fit ends.
    """

    def __init__(self, X: Array, truth: Array, n_classes: int, tol: float) -> None:
        self.spectrum = Spectrum(X)
        self.unit = np.sqrt(self.spectrum.mean_variance) or 1.0
        self.Z = self.spectrum.coordinates() / self.unit
        self.truth, self.n_classes, self.tol = truth, n_classes, tol

    def fit(self, C: float, rows: Array | None = None, start: Solution | None = None) -> Solution:
        """Return the solution on some rows, or all; `start` is where the search begins."""
        Z, truth = (self.Z, self.truth) if rows is None else (self.Z[rows], self.truth[rows])
        penalty = (2.0 if self.n_classes == 2 else 1.0) / (C * len(Z) * self.unit**2)
        begin = np.zeros((self.n_classes, Z.shape[1] + 1))
        if start is not None:
            begin[:, :-1], begin[:, -1] = start.weights, start.intercept
        found = minimize(
            _loss_and_gradient,
            begin.ravel(),
            args=(Z, truth, penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 5000, "maxfun": 10000, "gtol": self.tol, "ftol": 1e-15},
        )
        both = found.x.reshape(begin.shape)
        return Solution(both[:, :-1], both[:, -1])

    def in_features(self, solution: Solution) -> tuple[Float64, Float64]:
        """Return ``coef`` (n_classes, n_features) and ``intercept`` for rows as they were given."""
        found = self.spectrum.in_features(solution.weights / self.unit, solution.intercept)
        return found.coef, found.intercept


def _loss_and_gradient(
    flat: Float64, Z: Float64, truth: Array, penalty: float
) -> tuple[float, Float64]:
    """Return the mean log-loss with its penalty, and its gradient by weights and intercepts."""
    both = flat.reshape(-1, Z.shape[1] + 1)
    weights = both[:, :-1]
    scores = Z @ weights.T + both[:, -1]  # (N, K)
    scores -= scores.max(axis=1, keepdims=True)
    rows = np.arange(len(Z))
    right = scores[rows, truth]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1)
    loss = float((np.log(total) - right).mean() + 0.5 * penalty * (weights**2).sum())
    scores /= total[:, None]
    scores[rows, truth] -= 1.0
    scores /= len(Z)
    gradient = np.empty_like(both)
    gradient[:, :-1] = scores.T @ Z + penalty * weights
    gradient[:, -1] = scores.sum(axis=0)
    return loss, gradient.ravel()
