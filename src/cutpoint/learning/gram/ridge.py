"""Exact leave-one-out ridge from one eigendecomposition.

With centred rows X̃ = U S^½ Vᵀ (σ = diag S, the eigenvalues of X̃X̃ᵀ), an unpenalised intercept and
g = σ / (σ + λ)::

    ŷ   = ȳ + U (g ∘ Uᵀỹ)
    h_i = 1/N + Σ_k U_ik² g_k
    y_i − LOO_i = (y_i − ŷ_i) / (1 − h_i)

so that every λ costs one product more. Leaving a group out works the same way, with the group's
block of the hat matrix in the place of h_i.

With weights w, means are weighted, σ and U are those of √w ∘ X̃, and P = U / √w::

    ŷ   = ȳ + P (g ∘ Pᵀ(w ∘ ỹ))
    h_i = w_i (1/Σw + Σ_k P_ik² g_k)

A weight of 2 is a row that stands there twice, except that both are left out together.

Source: the leave-one-out identity of linear smoothers; Golub, Heath and Wahba, "Generalized
Cross-Validation as a Method for Choosing a Good Ridge Parameter", 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64, check_finite
from cutpoint.learning.gram.decompose import (
    centre_gram,
    check_weights,
    decompose_gram,
    decompose_rows,
)
from cutpoint.learning.gram.leave_out import Fits

# What centring leaves of numbers that are equal, as a share of them: a few roundings of float64.
_ROUNDING = 1e-15


@dataclass(frozen=True)
class RidgeSolution:
    """A ridge map of features: ``X @ coef.T + intercept``."""

    coef: Float64
    intercept: Float64


@dataclass(frozen=True)
class DualSolution:
    """A ridge map of kernels: ``K @ dual + intercept``.

    K, (n_new, n_items), holds the products of new rows with the fitted ones, made as those of the
    fitted rows with themselves were.
    """

    dual: Float64
    intercept: Float64


class Spectrum:
    """Eigendecomposition of centred features, reused for every λ and target.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
        Any float type; computed in float64. The smaller of the two Gram matrices is decomposed.
    weights : array of shape (n_items,), optional
        One per row, ≥ 0; by default all 1. The squared error of a row is multiplied by it.
    is_centred : bool, default True
        Features and targets lose their mean, which is an unpenalised intercept. False: no
        intercept, features as they are.
    is_exact : bool, default True
        Kept for those who ask; False if X approximates other features.

    Attributes
    ----------
    eigenvalues : float64 array of shape (rank,)
        σ, descending.
    vectors : float64 array of shape (n_items, rank)
        P: orthonormal columns U, or U / √weights.
    total_weight : float
        N without weights.
    mean : float64 array of shape (n_features,), or None
        None if made of a Gram matrix.
    """

    def __init__(
        self,
        X: Array,
        weights: Array | None = None,
        *,
        is_centred: bool = True,
        is_exact: bool = True,
    ) -> None:
        if X.ndim != 2 or len(X) < 2:
            raise _wrong_shape("X", X, "(n_items, n_features)")
        rows = X.astype(np.float64)
        check_finite(rows, "X")
        self._start(X.shape, weights, is_centred, is_exact)
        self.mean: Float64 | None = self._mean(rows)
        rows -= self.mean
        self._rows: Float64 | None = rows
        self._kernel_mean = rows @ self.mean  # up to a constant: dual weights sum to 0
        noise = _ROUNDING**2 * self.total_weight * float(self.mean @ self.mean)
        self.eigenvalues, self.vectors = decompose_rows(rows, self.weights, noise)

    @classmethod
    def of_gram(
        cls,
        K: Array,
        n_features: int,
        weights: Array | None = None,
        *,
        is_centred: bool = True,
    ) -> Self:
        """Return the spectrum of features of which only the Gram matrix is known.

        Parameters
        ----------
        K : array of shape (n_items, n_items)
            Products of all pairs of rows, centred or not; a sum over layers is that of all
            features side by side.
        n_features : int
            How many features it is the product of.
        weights, is_centred
            As above.
        """
        if K.ndim != 2 or K.shape[0] != K.shape[1] or len(K) < 2:
            raise _wrong_shape("K", K, "(n_items, n_items)")
        check_finite(K, "K")
        found = cls.__new__(cls)
        found._start((len(K), n_features), weights, is_centred, True)
        found.mean = found._rows = None
        gram, found._kernel_mean = centre_gram(K, found._share)
        noise = _ROUNDING * float(found.weights @ K.diagonal())
        found.eigenvalues, found.vectors = decompose_gram(gram, found.weights, noise)
        return found

    def _start(
        self, shape: tuple[int, ...], weights: Array | None, is_centred: bool, is_exact: bool
    ) -> None:
        self.n_items, self.n_features = shape
        self.weights = check_weights(weights, self.n_items)
        self.total_weight = float(self.weights.sum())
        self.is_centred, self.is_exact = is_centred, is_exact
        self._share = self.weights * (1.0 / self.total_weight if is_centred else 0.0)

    def _mean(self, rows: Array) -> Float64:
        """Return what rows, (n_items, …), are centred by."""
        return np.asarray(self._share @ rows, dtype=np.float64)

    @property
    def rank(self) -> int:
        return len(self.eigenvalues)

    @property
    def mean_variance(self) -> float:
        """Mean squared length of a centred row: the natural unit of λ."""
        return float(self.eigenvalues.sum() / self.total_weight)

    @property
    def squared_lengths(self) -> Float64:
        """Squared length of each centred row, (n_items,)."""
        lengths = np.einsum("ik,ik,k->i", self.vectors, self.vectors, self.eigenvalues)
        return np.asarray(lengths, dtype=np.float64)

    def project(self, Y: Array) -> tuple[Float64, Float64]:
        """Return centred targets (n_items, n_targets) and their coordinates (rank, n_targets)."""
        centred = np.asarray(Y - self._mean(Y), dtype=np.float64)
        return centred, self.vectors.T @ (self.weights[:, None] * centred)

    def fits(self, Y: Array, alphas: Float64) -> Fits:
        """Return the ridge of each λ, fitted on all rows, that rows can be taken out of."""
        centred, coordinates = self.project(Y)
        shrink = self.eigenvalues[:, None] / (self.eigenvalues[:, None] + alphas)
        shrunk = (shrink[:, :, None] * coordinates[:, None, :]).reshape(
            self.rank, len(alphas) * centred.shape[1]
        )
        of_mean = 1.0 / self.total_weight if self.is_centred else 0.0
        return Fits(self.vectors, self.weights, of_mean, centred, shrink, shrunk)

    def coordinates(self) -> Float64:
        """Return the centred rows along their own axes, (n_items, rank): U S^½."""
        return np.asarray(self.vectors * np.sqrt(self.eigenvalues))

    def in_features(self, weights: Float64, intercept: Float64) -> RidgeSolution:
        """Return a map of `coordinates`, weights (n_targets, rank), as a map of features."""
        dual = (weights / np.sqrt(self.eigenvalues)) @ self.vectors.T
        return RidgeSolution(dual @ self._known_rows(), intercept - dual @ self._kernel_mean)

    def loo(self, Y: Array, alpha: float, groups: Array | None = None) -> Float64:
        """Return predictions of each row by the model fitted on all others.

        Parameters
        ----------
        Y : array of shape (n_items, n_targets)
        alpha : float
            λ, > 0.
        groups : array of shape (n_items,), optional
            Rows of one group are left out together.

        Returns
        -------
        predictions : float64 array of shape (n_items, n_targets)
        """
        check_alpha(alpha)
        fits = self.fits(Y, np.array([alpha]))
        scores = np.array(Y, dtype=np.float64)
        for members in fits.blocks(groups):
            scores[members.ravel()] -= fits.left_out(members)[0].T
        return scores

    def solve(self, Y: Array, alpha: float) -> RidgeSolution:
        """Return the ridge map of features, fitted on all rows.

        Returns
        -------
        solution : coef of shape (n_targets, n_features), intercept of shape (n_targets,)
        """
        solution = self.solve_dual(Y, alpha)
        return RidgeSolution(solution.dual.T @ self._known_rows(), solution.intercept)

    def _known_rows(self) -> Float64:
        """Return the centred rows; raise `UsageError` if there is only their Gram matrix."""
        if self._rows is None:
            raise UsageError(
                "A ridge map of features can't be made from their Gram matrix.",
                "The features themselves are not known here.",
                "A map of kernels, which needs no features.",
                "Type:  spectrum.solve_dual(Y, alpha)",
            )
        return self._rows

    def solve_dual(self, Y: Array, alpha: float) -> DualSolution:
        """Return the same map, of kernels with the fitted rows.

        Returns
        -------
        solution : dual of shape (n_items, n_targets), intercept of shape (n_targets,)
        """
        dual = self._dual(Y, alpha)
        return DualSolution(dual, self._mean(Y) - self._kernel_mean @ dual)

    def _dual(self, Y: Array, alpha: float) -> Float64:
        """Return what each row weighs, (n_items, n_targets); with an intercept they sum to 0."""
        check_alpha(alpha)
        coordinates = self.project(Y)[1] / (self.eigenvalues + alpha)[:, None]
        return np.asarray(self.weights[:, None] * (self.vectors @ coordinates), dtype=np.float64)


def alpha_grid(spectrum: Spectrum, n_alphas: int = 20) -> Float64:
    """Return λ from 10⁻⁴ to 10³ times the mean squared length of a centred row."""
    unit = spectrum.mean_variance or 1.0
    return np.asarray(np.logspace(-4, 3, n_alphas) * unit, dtype=np.float64)


def one_hot(labels: Sequence[Any] | Array, classes: Sequence[Any] | Array) -> Float64:
    """Return a float64 array (n_items, n_classes) of zeros and ones."""
    matches = np.asarray(labels)[:, None] == np.asarray(classes)[None, :]
    return np.asarray(matches, dtype=np.float64)


def check_alpha(alpha: float) -> None:
    """Raise `UsageError` unless λ is positive."""
    if not alpha > 0:
        raise UsageError(
            f"alpha={alpha} is not positive.",
            "It is the penalty of ridge.",
            "alpha > 0; the scale of the features decides what is small.",
            "Type, for example:  alpha_grid(spectrum)",
        )


def _wrong_shape(name: str, array: Array, shape: str) -> ShapeError:
    return ShapeError(
        f"{name} of shape {array.shape} can't be judged by leaving rows out.",
        "Each row is left out once, and the others are fitted.",
        f"{name} must be {shape} with two items or more.",
        f"Look at it with:  {name}.shape",
    )
