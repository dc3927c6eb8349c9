"""Leave-one-out errors of all λ at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutpoint.errors import UsageError
from cutpoint.gram.groups import blocks_of
from cutpoint.gram.ridge import Spectrum, check_alpha
from cutpoint.types import Array, Float64

# What the errors of several λ may take together; more λ than fit are done one after the other.
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
        Of each row by the model of the best λ fitted without it.
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

    Two matrix products serve several λ: of the squared vectors with all shrinkages (leverages),
    and of the vectors with all shrunk coordinates (fits). No more than `PATH_BYTES` of errors
    are held at a time.

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
            "Leave-one-out errors of every λ were asked for.",
            "alphas is empty.",
            "One λ > 0 or more.",
            "Type, for example:  alpha_grid(spectrum)",
        )
    for alpha in found:
        check_alpha(alpha)
    blocks = blocks_of(groups, spectrum.weights)
    centred, coordinates = spectrum.project(Y)
    share = spectrum.weights / spectrum.total_weight
    step = max(1, PATH_BYTES // (2 * centred.nbytes))  # residuals and errors
    errors = []
    for start in range(0, len(found), step):
        left = spectrum.left_out(centred, coordinates, found[start : start + step], blocks)
        np.square(left, out=left)
        errors.append((share @ left.reshape(len(left), -1)).reshape(left.shape[1:]))
    squared = np.concatenate(errors)
    best = int(squared.mean(axis=1).argmin())
    left = spectrum.left_out(centred, coordinates, found[best : best + 1], blocks)
    return LooPath(found, squared, np.asarray(Y - left[:, 0], dtype=np.float64))
