"""The exact Gaussian evidence of targets given features, from the eigenvalues alone.

Model: y = f + noise, f ~ N(0, FFᵀ / α), noise ~ N(0, 1 / β). With t = α / β and the coordinates
z = Uᵀy::

    Q(t) = Σ_k z_k² t / (t + σ_k) + |y|² − |z|²
    L(t) = −½ [ln(2π Q / n) + 1 + (1/n) Σ_k ln(1 + σ_k / t)],   β = n / Q,   α = t β

which is the logarithm of the density of y by item, at its maximum over β; the maximum over t is
found here. The fixed-point iteration of the published code counts D/2 · ln α against only
min(N, D) eigenvalues, and so goes wrong where N < D; this does not.

Source of the score: "LogME: Practical Assessment of Pre-trained Models for Transfer Learning",
ICML 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.ridge import Spectrum

# ln t is looked for from 10⁻⁸ to 10⁸ times the mean squared length of a row, first on a grid.
_DECADES, _GRID = 8, 65


@dataclass(frozen=True)
class Evidence:
    """Log-evidence by item, larger is better, and where its maximum lies.

    Attributes
    ----------
    per_target : float64 array of shape (n_targets,)
    alpha, beta : float64 array of shape (n_targets,)
        Precision of the weights of features, and of the noise.
    """

    per_target: Float64
    alpha: Float64
    beta: Float64

    @property
    def mean(self) -> float:
        """Over targets: the LogME score, if the spectrum is not centred."""
        return float(self.per_target.mean())


def log_evidence(spectrum: Spectrum, Y: Array) -> Evidence:
    """Return the maximum over α and β of the log-evidence of each target.

    Parameters
    ----------
    spectrum : Spectrum
        Not centred (``Spectrum(X, is_centred=False)``): the published score, whose model has no
        intercept. Centred: the intercept, of which nothing is known beforehand, is integrated
        out, which leaves the evidence of the N − 1 contrasts of the targets, per contrast; adding
        a constant to features or targets changes nothing.
    Y : array of shape (n_items, n_targets)
        No column is zero or, if centred, constant.

    Notes
    -----
    A weight of 2 is a row that stands there twice. The published code adds 10⁻⁵ to two sums;
    nothing is added here.
    """
    centred, coordinates = spectrum.project(Y)
    n = spectrum.total_weight - (1.0 if spectrum.is_centred else 0.0)
    squares = np.square(coordinates)
    rest = np.maximum(spectrum.weights @ np.square(centred) - squares.sum(axis=0), 0.0)
    unit = np.log(spectrum.mean_variance or 1.0)
    reach = _DECADES * np.log(10)
    grid = np.linspace(unit - reach, unit + reach, _GRID)
    curves = _loss(grid, spectrum.eigenvalues, squares, rest, n)  # (n_grid, n_targets)
    found = [
        _minimum(
            curves[:, place], grid, spectrum.eigenvalues, squares[:, [place]], rest[[place]], n
        )
        for place in range(len(rest))
    ]
    loss, ratio, noise = np.array(found).T
    beta = n / noise
    return Evidence(-loss, ratio * beta, beta)


def _noise(log_t: Float64, sigma: Float64, squares: Float64, rest: Float64) -> Float64:
    """Return Q, (n_t, n_targets)."""
    keep = 1.0 / (1.0 + sigma * np.exp(-log_t)[:, None])
    return np.asarray(keep @ squares + rest, dtype=np.float64)


def _loss(log_t: Float64, sigma: Float64, squares: Float64, rest: Float64, n: float) -> Float64:
    """Return −L, (n_t, n_targets)."""
    spread = np.log1p(sigma * np.exp(-log_t)[:, None]).sum(axis=1) / n
    noise = _noise(log_t, sigma, squares, rest)
    return np.asarray((np.log(2 * np.pi * noise / n) + 1 + spread[:, None]) / 2, dtype=np.float64)


def _minimum(
    curve: Float64, grid: Float64, sigma: Float64, squares: Float64, rest: Float64, n: float
) -> tuple[float, float, float]:
    """Return −L, t and Q of one target, refined around the best point of the grid."""
    best = int(curve.argmin())
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    refined = minimize_scalar(
        lambda log_t: float(_loss(np.array([log_t]), sigma, squares, rest, n)[0, 0]),
        bounds=around,
        method="bounded",
        options={"xatol": 1e-7},
    )
    log_t = np.array([refined.x])
    return float(refined.fun), float(np.exp(refined.x)), _noise(log_t, sigma, squares, rest)[0, 0]
