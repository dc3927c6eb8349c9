"""Exact leave-one-out ridge from one eigendecomposition.

With centred rows X̃ = U S^½ Vᵀ (σ = diag S, the eigenvalues of X̃X̃ᵀ), an unpenalised intercept and
g = σ / (σ + λ)::

    ŷ   = ȳ + U (g ∘ Uᵀỹ)
    h_i = 1/N + Σ_k U_ik² g_k
    y_i − LOO_i = (y_i − ŷ_i) / (1 − h_i)

so that every λ costs one product more. Leaving a group out works the same way, with the group's
block of the hat matrix in the place of h_i.

Source: the leave-one-out identity of linear smoothers; Golub, Heath and Wahba, "Generalized
Cross-Validation as a Method for Choosing a Good Ridge Parameter", 1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg

from cutpoint.errors import ShapeError, UsageError
from cutpoint.types import Array, Float64

# Directions this much weaker than the strongest are noise of the eigendecomposition itself.
RANK_TOLERANCE = 1e-13


@dataclass(frozen=True)
class RidgeSolution:
    """A ridge map: ``X @ coef.T + intercept``."""

    coef: Float64
    intercept: Float64


class Spectrum:
    """Eigendecomposition of centred features, reused for every λ and target.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
        Any float type; computed in float64. The smaller of the two Gram matrices is decomposed.
    """

    def __init__(self, X: Array) -> None:
        if X.ndim != 2 or len(X) < 2:
            raise ShapeError(
                "Leave-one-out ridge was asked for.",
                f"X has shape {X.shape}.",
                "X must be (n_items, n_features) with two items or more.",
                "Look at it with:  X.shape",
            )
        self.mean: Float64 = X.mean(axis=0, dtype=np.float64)
        self._rows: Float64 = X.astype(np.float64) - self.mean
        self.n_items, self.n_features = X.shape
        self.eigenvalues, self.vectors = self._decompose()

    def _decompose(self) -> tuple[Float64, Float64]:
        """Return σ, descending, and U with orthonormal columns."""
        rows = self._rows
        is_wide = self.n_items <= self.n_features
        gram = rows @ rows.T if is_wide else rows.T @ rows
        values, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=True)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = int((values > RANK_TOLERANCE * max(values[0], 0.0)).sum())
        values, vectors = values[:rank], vectors[:, :rank]
        if is_wide:
            return values, vectors
        return values, (rows @ vectors) / np.sqrt(values)

    @cached_property
    def _squared(self) -> Float64:
        return np.square(self.vectors)

    @property
    def mean_variance(self) -> float:
        """Mean squared length of a centred row: the natural unit of λ."""
        return float(self.eigenvalues.sum() / self.n_items)

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
        _check_alpha(alpha)
        shrink = self.eigenvalues / (self.eigenvalues + alpha)
        target_mean = Y.mean(axis=0)
        weights = self.vectors.T @ (Y - target_mean)
        residuals = Y - target_mean - self.vectors @ (shrink[:, None] * weights)
        leverage = 1.0 / self.n_items + self._squared @ shrink
        left_out = residuals / (1.0 - leverage)[:, None]
        for members in _blocks(groups):
            if len(members) == self.n_items:
                raise UsageError(
                    "Leaving groups out was asked for.",
                    f"All {self.n_items} rows are of one group, so nothing is left to fit on.",
                    "Two groups or more.",
                    "Look at them with:  numpy.unique(groups)",
                )
            block = self.vectors[members]
            hat = 1.0 / self.n_items + (block * shrink) @ block.T
            left_out[members] = np.linalg.solve(np.eye(len(members)) - hat, residuals[members])
        return np.asarray(Y - left_out, dtype=np.float64)

    def solve(self, Y: Array, alpha: float) -> RidgeSolution:
        """Return the ridge map fitted on all rows.

        Returns
        -------
        solution : coef of shape (n_targets, n_features), intercept of shape (n_targets,)
        """
        _check_alpha(alpha)
        target_mean = Y.mean(axis=0)
        weights = self.vectors.T @ (Y - target_mean)
        dual = self.vectors @ (weights / (self.eigenvalues + alpha)[:, None])
        coef = dual.T @ self._rows
        return RidgeSolution(coef, target_mean - coef @ self.mean)


def alpha_grid(spectrum: Spectrum, n_alphas: int = 20) -> Float64:
    """Return λ from 10⁻⁴ to 10³ times the mean squared length of a centred row."""
    unit = spectrum.mean_variance or 1.0
    return np.asarray(np.logspace(-4, 3, n_alphas) * unit, dtype=np.float64)


def one_hot(labels: Sequence[Any] | Array, classes: Sequence[Any] | Array) -> Float64:
    """Return a float64 array (n_items, n_classes) of zeros and ones."""
    matches = np.asarray(labels)[:, None] == np.asarray(classes)[None, :]
    return np.asarray(matches, dtype=np.float64)


def _blocks(groups: Array | None) -> list[Array]:
    """Return the row numbers of each group of two or more."""
    if groups is None:
        return []
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(order, np.cumsum(counts)[:-1])
    return [part for part in parts if len(part) > 1]


def _check_alpha(alpha: float) -> None:
    if not alpha > 0:
        raise UsageError(
            f"Ridge with alpha={alpha} was asked for.",
            "It is not positive.",
            "alpha > 0; the scale of the features decides what is small.",
            "Type, for example:  alpha_grid(spectrum)",
        )
