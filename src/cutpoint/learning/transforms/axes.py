"""Principal axes: from rows where they are few, from moments where they are many."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from cutpoint.base.errors import FewerThanAsked, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Moments
from cutpoint.learning.shared.limits import is_share

# Directions 10⁻⁶ times as wide as the widest are the rounding of float32 rows.
RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Axes:
    """Orthonormal directions of largest variance, the largest first.

    Attributes
    ----------
    mean : float64 array of shape (n_features,)
    components : float64 array of shape (n_components, n_features)
        The largest entry of each is positive.
    variances : float64 array of shape (n_components,)
        Along each direction, over n − 1.
    total : float
        Variance along all directions.
    """

    mean: Float64
    components: Float64
    variances: Float64
    total: float


def axes_of_rows(X: Array) -> Axes:
    """Return the axes of rows (n_items, n_features), by their singular values."""
    rows = X.astype(np.float64)
    mean = rows.mean(axis=0)
    rows -= mean
    _, widths, components = scipy.linalg.svd(rows, full_matrices=False, overwrite_a=True)
    variances = widths**2 / (len(rows) - 1)
    return _ranked(mean, components, variances, float(variances.sum()))


def axes_of_moments(moments: Moments, at_most: int | None = None) -> Axes:
    """Return the axes of all rows that `moments` has seen; only the first `at_most` are solved."""
    covariance = moments.covariance()
    total = float(np.trace(covariance))
    width = moments.n_features
    first = max(0, width - max(1, at_most or width))
    # The driver that solves for a part of the spectrum is the slower one for all of it.
    part = None if first < width // 2 else (first, width - 1)
    variances, vectors = scipy.linalg.eigh(covariance, subset_by_index=part, overwrite_a=True)
    return _ranked(moments.mean, vectors.T[::-1], variances[::-1], total)


def n_kept(asked: int | float | None, axes: Axes) -> int:
    """Return how many of the axes to keep; warn if there are fewer than asked for.

    Parameters
    ----------
    asked : int, float in (0, 1], or None
        A number, the share of the variance to keep at least, or all.
    """
    n_axes = len(axes.variances)
    if asked is None:
        return n_axes
    if is_share(asked):
        if asked == 1:
            return n_axes
        shares = np.cumsum(axes.variances) / axes.total
        return min(n_axes, int(np.searchsorted(shares, asked)) + 1)
    if asked > n_axes:
        what = f"{asked} principal components are too many: the rows vary along {n_axes} only"
        warnings.warn(f"{what}, and those are kept.", FewerThanAsked, stacklevel=4)
    return min(int(asked), n_axes)


def _ranked(mean: Float64, components: Float64, variances: Float64, total: float) -> Axes:
    """Return the axes along which there is more than rounding, with their signs settled."""
    rank = int((variances > RANK_TOLERANCE * max(variances[0], 0.0)).sum())
    if rank == 0 or total <= (100 * np.finfo(np.float64).eps) ** 2 * float(mean @ mean):
        raise UsageError(
            "Rows that are all equal have no principal components.",
            f"They have {len(mean)} columns.",
            "Rows that vary.",
            "Look at them with:  X.std(axis=0)",
        )
    kept = np.ascontiguousarray(components[:rank])
    peaks = kept[np.arange(rank), np.abs(kept).argmax(axis=1)]
    return Axes(mean.copy(), kept * np.sign(peaks)[:, None], variances[:rank].copy(), total)
