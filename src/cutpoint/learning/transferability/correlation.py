"""PARC: whether items of one class have features alike."""

from __future__ import annotations

import numpy as np
import sklearn.decomposition
from scipy.stats import spearmanr

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.transferability.checks import check_compat, check_rows
from cutpoint.learning.transforms import PCA

COMPAT = ("dbolya",)


def parc(
    features: Array, labels: Array, n_components: int = 32, compat: str | None = None
) -> float:
    """Return the rank correlation of distances between features and between labels, −1 to 1.

    Spearman's, over each two items, of 1 − correlation of their standardised principal components
    and of their one-hot labels. The latter has two values only, and ties share their mean rank.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    n_components : int, default 32
        Principal components kept, exact.
    compat : {"dbolya"}, optional
        Published code: components by a randomised solver with its seed 1919, distances of labels
        as they are rounded, so that ties are broken by the last digit, and percent.

    Notes
    -----
    O(N²) numbers are ranked; the authors take 500 items. A correlation between rows changes with
    the signs of their components, which are arbitrary: here the largest entry of each is positive.

    References
    ----------
    Bolya et al., "Scalable Diverse Model Selection for Accessible Transfer Learning", 2021.
    """
    check_compat("parc", compat, COMPAT)
    X, truth = check_rows(features, labels)
    reduced = _published_axes(X, n_components) if compat else PCA().fit_transform(X)
    reduced = reduced[:, :n_components]
    if reduced.shape[1] < 2:
        raise UsageError(
            f"PARC has no score: rows vary along {reduced.shape[1]} direction(s).",
            "A correlation between rows needs two numbers of each.",
            "Two directions or more.",
            "Another score does with one:  loo_ridge(features, labels)",
        )
    if len(np.unique(truth)) == len(truth):
        raise UsageError(
            f"PARC has no score: all {len(truth)} rows are of different classes.",
            "All labels are equally far apart.",
            "Two rows of one class at least.",
            "Look with:  numpy.unique(labels, return_counts=True)",
        )
    pairs = np.triu_indices(len(X), 1)
    distances = _distances(reduced / reduced.std(axis=0))[pairs]
    if compat:
        labels_apart = _distances(np.eye(int(truth.max()) + 1)[truth])[pairs]
        return float(spearmanr(distances, labels_apart).statistic) * 100
    return float(spearmanr(distances, truth[pairs[0]] != truth[pairs[1]]).statistic)


def _distances(rows: Float64) -> Float64:
    """Return 1 − correlation of each two rows."""
    return np.asarray(1 - np.corrcoef(rows), dtype=np.float64)


def _published_axes(X: Float64, n_components: int) -> Float64:
    model = sklearn.decomposition.PCA(
        min(n_components, *X.shape), svd_solver="randomized", iterated_power=1, random_state=1919
    )
    return np.asarray(model.fit_transform(X), dtype=np.float64)
