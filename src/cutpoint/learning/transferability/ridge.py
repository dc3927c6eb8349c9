"""Accuracy of a ridge head on rows it was fitted without."""

from __future__ import annotations

from cutpoint.base.types import Array
from cutpoint.learning.gram import Spectrum, alpha_grid, loo_path, one_hot
from cutpoint.learning.transferability.checks import check_compat, check_rows


def loo_ridge(
    features: Array, labels: Array, groups: Array | None = None, compat: str | None = None
) -> float:
    """Return the leave-one-out accuracy of a ridge head, 0–1.

    The only score here in the units of the goal. λ is that of the smallest leave-one-out squared
    error, as in `cutpoint.choose`.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    groups : array of shape (n_items,), optional
        Rows of one group are left out together.
    compat : None
        There is no published version to reproduce.

    Notes
    -----
    Exact: one eigendecomposition, no refits. O(N²D + N³) for N ≤ D, else O(ND² + D³).
    """
    check_compat("loo_ridge", compat, ())
    X, truth = check_rows(features, labels)
    spectrum = Spectrum(X)
    Y = one_hot(truth, range(truth.max() + 1))
    path = loo_path(spectrum, Y, alpha_grid(spectrum), groups)
    return float((path.scores.argmax(axis=1) == truth).mean())
