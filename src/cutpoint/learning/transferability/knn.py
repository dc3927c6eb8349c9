"""Accuracy of the nearest neighbour."""

from __future__ import annotations

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.transferability.checks import check_compat, check_rows

BLOCK_ROWS = 512


def knn_loo(features: Array, labels: Array, compat: str | None = None) -> float:
    """Return the share of rows whose nearest other row has their label, 0–1.

    Euclidean; of equally near rows the first counts.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    compat : None
        There is no published version to reproduce.

    Notes
    -----
    O(N²D), in blocks of rows.
    """
    check_compat("knn_loo", compat, ())
    X, truth = check_rows(features, labels)
    return float((truth[_nearest(X)] == truth).mean())


def _nearest(X: Float64) -> Array:
    """Return the number of the row nearest to each."""
    X = X - X.mean(axis=0)
    squares = (X**2).sum(axis=1)
    found = [_nearest_to(X, squares, rows) for rows in _blocks(len(X))]
    return np.concatenate(found)


def _blocks(n_items: int) -> list[Array]:
    return [
        np.arange(start, min(start + BLOCK_ROWS, n_items))
        for start in range(0, n_items, BLOCK_ROWS)
    ]


def _nearest_to(X: Float64, squares: Float64, rows: Array) -> Array:
    distances = squares[rows, None] + squares - 2 * (X[rows] @ X.T)
    distances[np.arange(len(rows)), rows] = np.inf
    # Products round, so rows within that error are compared by their differences.
    slack = 1e-12 * (squares[rows] + squares.max())
    nearest: Array = distances.argmin(axis=1)
    close = distances <= (distances.min(axis=1) + slack)[:, None]
    for place in np.flatnonzero(close.sum(axis=1) > 1):
        others = np.flatnonzero(close[place])
        nearest[place] = others[((X[others] - X[rows[place]]) ** 2).sum(axis=1).argmin()]
    return nearest
