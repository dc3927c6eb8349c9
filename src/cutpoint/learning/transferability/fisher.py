"""SFDA, kept as a reference to compare with: a discriminant that is made harder once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.metrics import softmax
from cutpoint.learning.transferability.checks import check_compat, check_rows

COMPAT = ("sfda",)


def sfda(features: Array, labels: Array, compat: str | None = None) -> float:
    """Return the mean log-probability of a discriminant on rows it was fitted on, ≤ 0.

    A reference to compare with, no advice: it is judged on its own training rows, and its shrinkage
    ``exp(−5 λ_max)`` of the covariance within classes depends on the features' scale. Fisher's
    discriminant gives each row a probability p of its class; the row is moved to
    ``p x + (1 − p) m``, m the mean of the other classes' means; a second discriminant is scored.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    compat : {"sfda"}, optional
        Published code: λ_max by seven products, a second softmax before rows are moved, and the
        mean probability in place of its logarithm. That code also overwrites its input; this one
        does not.

    References
    ----------
    "Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher Space",
    code at TencentARC/SFDA.
    """
    check_compat("sfda", compat, COMPAT)
    X, truth = check_rows(features, labels)
    rows = np.arange(len(X))
    classes = _classes(X, truth)
    if not classes.within.any():
        raise UsageError(
            "SFDA has no score: rows do not vary within a class.",
            f"There are {len(X)} rows of {len(classes.means)} classes.",
            "Several rows per class, that differ.",
            "Another score does without:  knn_loo(features, labels)",
        )
    largest = _seven_products if compat else _largest_eigenvalue
    shrinkage = max(float(np.exp(-5 * largest(classes.within))), 1e-10)
    probabilities = _discriminate(X, classes, shrinkage)
    if compat:
        probabilities = softmax(probabilities)
    kept = probabilities[rows, truth][:, None]
    others = (classes.means.sum(axis=0) - classes.means) / (len(classes.means) - 1)
    moved = kept * X + (1 - kept) * others[truth]
    found = _discriminate(moved, _classes(moved, truth), shrinkage)[rows, truth]
    # The logarithm of a probability that underflows would be −∞ for the whole set.
    return float(found.mean() if compat else np.log(np.maximum(found, 1e-300)).mean())


class _Classes(NamedTuple):
    """Shares (n_classes,), means (n_classes, n_features), covariance within classes."""

    shares: Float64
    means: Float64
    within: Float64


def _classes(X: Float64, truth: Array) -> _Classes:
    counts = np.bincount(truth)
    means = np.zeros((len(counts), X.shape[1]))
    np.add.at(means, truth, X)
    means /= counts[:, None]
    centred = X - means[truth]
    return _Classes(counts / len(X), means, centred.T @ centred / len(X))


def _discriminate(X: Float64, classes: _Classes, shrinkage: float) -> Float64:
    """Return probabilities (n_items, n_classes) of a linear discriminant.

    Published code multiplies all generalised eigenvectors with their transpose: that is the
    inverse of the covariance.
    """
    shrunk = (1 - shrinkage) * classes.within
    shrunk[np.diag_indices_from(shrunk)] += shrinkage * np.trace(classes.within) / len(shrunk)
    coef = scipy.linalg.solve(shrunk, classes.means.T, assume_a="pos").T
    intercept = np.log(classes.shares) - (classes.means * coef).sum(axis=1) / 2
    return softmax(X @ coef.T + intercept)


def _largest_eigenvalue(matrix: Float64) -> float:
    last = len(matrix) - 1
    return float(scipy.linalg.eigh(matrix, eigvals_only=True, subset_by_index=(last, last))[0])


def _seven_products(matrix: Float64) -> float:
    """Return the published power iteration's estimate of the largest eigenvalue."""
    before = after = matrix.sum(axis=1)
    for _ in range(6):
        before, after = after, matrix @ after
        after = after / np.linalg.norm(after)
    return float(after @ matrix @ before)
