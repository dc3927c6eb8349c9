"""Softmax regression with an L2 penalty, by Newton's method along the rows' own axes.

Turning rows into the axes of their spread keeps every length and angle among them, and the penalty
with them: the solution is the same as in the features. For more features than rows it is smaller,
exactly, as the solution lies in the rows' span. Along those axes the curvature is nearly diagonal,
so its diagonal is all that conjugate gradients need to find a Newton step. L-BFGS alone was tried:
where C is large it stopped far away, as the loss there is flatter than numbers of 64 bits can tell.
Where a rough solution will do it is the start: of 77 classes a hundred times as fast.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Spectrum

TOL = 1e-5
ROUGH = 1e-3
"""Tolerance from which on L-BFGS goes ahead."""
_MAX_ROUGH_STEPS = 300
_MAX_STEPS = 100  # of Newton; the largest C of the protocols takes about 20 from zero
_MAX_PRODUCTS = 1000  # with the curvature, a step; they take 5 to 50
_SHORTEST = 2.0**-20  # part of a step that is still tried
_ROUNDING = 1e-16  # a gradient this small is zero
_BLOCK_ROWS = 4096  # squared at a time


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
        A fit ends where the gradient's length is so small a share of the penalty's part of it:
        there the weights are within about `tol` of their length.
    """

    def __init__(self, X: Array, truth: Array, n_classes: int, tol: float = TOL) -> None:
        self.spectrum = Spectrum(X)
        self.unit = np.sqrt(self.spectrum.mean_variance) or 1.0
        self.Z = self.spectrum.coordinates() / self.unit
        self.truth, self.n_classes, self.tol = truth, n_classes, tol

    def fit(self, C: float, rows: Array | None = None, start: Solution | None = None) -> Solution:
        """Return the solution on some rows, or all; `start` is where the search begins.

        Warns with scikit-learn's `ConvergenceWarning` where it is not reached.
        """
        Z, truth = (self.Z, self.truth) if rows is None else (self.Z[rows], self.truth[rows])
        penalty = (2.0 if self.n_classes == 2 else 1.0) / (C * len(Z) * self.unit**2)
        both = np.zeros((self.n_classes, Z.shape[1] + 1))
        if start is not None:
            both[:, :-1], both[:, -1] = start.weights, start.intercept
        problem = _Problem(Z, truth, penalty)
        if self.tol >= ROUGH:
            both = _roughly(problem, both, self.tol)
        both, left = _solve(problem, both, self.tol)
        if left > self.tol:
            warnings.warn(
                f"softmax regression with C={C:g} ended with {left:.1g} of the gradient left, "
                f"more than tol={self.tol:g}: a smaller C converges",
                ConvergenceWarning,
                stacklevel=2,
            )
        return Solution(both[:, :-1], both[:, -1])

    def in_features(self, solution: Solution) -> tuple[Float64, Float64]:
        """Return ``coef`` (n_classes, n_features) and ``intercept`` for rows as they were given."""
        found = self.spectrum.in_features(solution.weights / self.unit, solution.intercept)
        return found.coef, found.intercept


@dataclass(frozen=True)
class _Problem:
    """Mean log-loss of rows Z plus ½ penalty ‖weights‖², at weights (K, d) beside intercepts."""

    Z: Float64
    truth: Array
    penalty: float

    def shares_and_gradient(self, both: Float64) -> tuple[Float64, Float64]:
        """Return the probabilities of all rows, (N, K), and the gradient, (K, d + 1)."""
        shares = self.Z @ both[:, :-1].T + both[:, -1]
        shares -= shares.max(axis=1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=1, keepdims=True)
        wrong = shares.copy()
        wrong[np.arange(len(self.Z)), self.truth] -= 1.0
        return shares, self._back(wrong, both)

    def loss(self, shares: Float64, both: Float64) -> float:
        """Return what is minimised, at `shares`."""
        own = np.maximum(shares[np.arange(len(self.Z)), self.truth], np.finfo(float).tiny)
        return float(0.5 * self.penalty * np.square(both[:, :-1]).sum() - np.log(own).mean())

    def curvature(self, shares: Float64, both: Float64) -> Float64:
        """Return the second derivative at `shares` times `both`."""
        moved = self.Z @ both[:, :-1].T + both[:, -1]
        moved -= (shares * moved).sum(axis=1, keepdims=True)
        return self._back(shares * moved, both)

    def diagonal(self, shares: Float64) -> Float64:
        """Return the diagonal of the second derivative, (K, d + 1), above zero."""
        each = shares * (1 - shares) / len(self.Z)
        found = np.full((shares.shape[1], self.Z.shape[1] + 1), self.penalty)
        for start in range(0, len(self.Z), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            found[:, :-1] += each[rows].T @ self.Z[rows] ** 2
        found[:, -1] = each.sum(axis=0) + _ROUNDING
        return found

    def left(self, both: Float64, gradient: Float64) -> float:
        """Return the length of the gradient as a share of the penalty's part of it."""
        length = float(np.linalg.norm(gradient))
        own = self.penalty * float(np.linalg.norm(both[:, :-1]))
        return 0.0 if length <= _ROUNDING else length / max(own, _ROUNDING)

    def _back(self, scores: Float64, both: Float64) -> Float64:
        found = np.empty_like(both)
        found[:, :-1] = scores.T @ self.Z / len(self.Z) + self.penalty * both[:, :-1]
        found[:, -1] = scores.mean(axis=0)
        return found


def _roughly(problem: _Problem, both: Float64, tol: float) -> Float64:
    """Return where L-BFGS ends from `both` on; it stops as soon as `tol` is reached."""

    def value_and_slope(flat: Float64) -> tuple[float, Float64]:
        at = flat.reshape(both.shape)
        shares, gradient = problem.shares_and_gradient(at)
        if problem.left(at, gradient) <= tol:
            raise _Reached(at)
        return problem.loss(shares, at), gradient.ravel()

    options = {"maxiter": _MAX_ROUGH_STEPS, "ftol": 0.0, "gtol": 0.0}
    try:
        found = minimize(
            value_and_slope, both.ravel(), jac=True, method="L-BFGS-B", options=options
        )
    except _Reached as reached:
        return reached.both
    return np.asarray(found.x.reshape(both.shape), np.float64)


class _Reached(Exception):  # no error: scipy can be stopped by nothing else
    def __init__(self, both: Float64) -> None:
        self.both = both.copy()


def _solve(problem: _Problem, both: Float64, tol: float) -> tuple[Float64, float]:
    """Return the solution from `both` on, and what is left of the gradient; see `_Problem.left`.

    Each step is shortened until the gradient is: its length falls along a Newton step, and unlike
    the loss it can be told to the last digit.
    """
    shares, gradient = problem.shares_and_gradient(both)
    left = problem.left(both, gradient)
    for _ in range(_MAX_STEPS):
        if left <= tol:
            break
        length = float(np.linalg.norm(gradient))
        # Rough steps first, exact ones at the end; never finer than what is asked for.
        enough = length * max(min(0.1, left), 0.3 * tol / left)
        times = _times(problem, shares)
        step = _conjugate_gradients(times, -gradient, problem.diagonal(shares), enough)
        part = 1.0
        while part >= _SHORTEST:
            shares, gradient = problem.shares_and_gradient(both + part * step)
            if np.linalg.norm(gradient) < (1 - 1e-4 * part) * length:
                break
            part /= 2
        else:  # rounding is all that is left
            return both, left
        both = both + part * step
        left = problem.left(both, gradient)
    return both, left


def _times(problem: _Problem, shares: Float64) -> Callable[[Float64], Float64]:
    return lambda both: problem.curvature(shares, both)


def _conjugate_gradients(
    times: Callable[[Float64], Float64], right: Float64, diagonal: Float64, enough: float
) -> Float64:
    """Return x with ‖right − times(x)‖ ≤ `enough`, preconditioned by the diagonal."""
    found, rest = np.zeros_like(right), right
    along = scaled = rest / diagonal
    product = float((rest * scaled).sum())
    for _ in range(_MAX_PRODUCTS):
        curved = times(along)
        size = product / float((along * curved).sum())
        found, rest = found + size * along, rest - size * curved
        if np.linalg.norm(rest) <= enough:
            break
        scaled = rest / diagonal
        product, before = float((rest * scaled).sum()), product
        along = scaled + product / before * along
    return found
