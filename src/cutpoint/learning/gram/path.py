"""Leave-one-out errors of all λ at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.ridge import Spectrum, check_alpha

# What the coordinates of several λ may take together; more λ are done in several goes.
PATH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class LooPath:
    """What each λ leaves over, and the scores of the best.

    Attributes
    ----------
    alphas : float64 array of shape (n_alphas,)
    squared_errors : float64 array of shape (n_alphas, n_targets)
        Mean over rows, weighted if they are.
    scores : float64 array of shape (n_items, n_targets)
        Each row's by the model of the best λ fitted without it.
    """

    alphas: Float64
    squared_errors: Float64
    scores: Float64

    @property
    def totals(self) -> Float64:
        """Mean over rows and targets, (n_alphas,)."""
        return np.asarray(self.squared_errors.mean(axis=1), dtype=np.float64)

    @property
    def best(self) -> int:
        """Place of the smallest total; of equal ones the first."""
        return int(self.totals.argmin())

    @property
    def alpha(self) -> float:
        return float(self.alphas[self.best])

    @property
    def mse(self) -> float:
        return float(self.totals[self.best])


def loo_path(
    spectrum: Spectrum,
    Y: Array,
    alphas: Sequence[float] | Array,
    groups: Array | None = None,
) -> LooPath:
    """Return the leave-one-out errors of every λ.

    Two matrix products serve all λ: of the squared vectors with all shrinkages (leverages), and
    of the vectors with all shrunk coordinates (fits), block of rows by block of rows.

    Parameters
    ----------
    spectrum : Spectrum
    Y : array of shape (n_items, n_targets)
    alphas : sequence of float
        λ, each > 0.
    groups : array of shape (n_items,), optional
        Rows of one group are left out together.
    """
    found = np.array([float(alpha) for alpha in alphas])
    if not len(found):
        raise UsageError(
            "alphas is empty.",
            "A path has the leave-one-out error of each λ.",
            "One λ > 0 or more.",
            "Type, for example:  alpha_grid(spectrum)",
        )
    for alpha in found:
        check_alpha(alpha)
    step = max(1, PATH_BYTES // (8 * max(1, spectrum.rank) * Y.shape[1]))
    chunks = [found[start : start + step] for start in range(0, len(found), step)]
    squared = np.concatenate([_squared_errors(spectrum, Y, chunk, groups) for chunk in chunks])
    best = float(found[squared.mean(axis=1).argmin()])
    return LooPath(found, squared, spectrum.loo(Y, best, groups))


def _squared_errors(spectrum: Spectrum, Y: Array, alphas: Float64, groups: Array | None) -> Float64:
    """Return weighted means over rows, (n_alphas, n_targets); no row's error is kept."""
    fits = spectrum.fits(Y, alphas)
    root = np.sqrt(spectrum.weights / spectrum.total_weight)
    sums = np.zeros((len(alphas), Y.shape[1]))
    for members in fits.blocks(groups):
        errors = fits.left_out(members)
        errors *= root[members.ravel()]
        sums += np.einsum("atr,atr->at", errors, errors)
    return sums
