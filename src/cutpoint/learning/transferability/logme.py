"""LogME: the evidence for one-hot labels under Bayesian linear regression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Spectrum, log_evidence, one_hot
from cutpoint.learning.transferability.checks import check_compat, check_rows

COMPAT = ("thuml", "thuml-icml", "tllib")


def log_me(features: Array, labels: Array, compat: str | None = None) -> float:
    """Return the logarithm of maximum evidence for each row, mean over classes.

    For each class y ∈ {0, 1}ᴺ the maximum over α, β > 0 of ``log N(y; 0, I/β + FFᵀ/α) / N``;
    features F are not centred.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    compat : {"thuml", "thuml-icml", "tllib"}, optional
        Published code. ``"thuml"``, the default of thuml/LogME, has ``D/2 ln α`` stand against
        min(N, D) eigenvalues: for N < D it adds ``(D − N)/2N · ln α`` and so prefers wide
        features. ``"thuml-icml"`` and ``"tllib"`` stop the iteration at a change of 1 %.

    Returns
    -------
    score : float
        In nats per row; higher is better. Features that hold the labels exactly have no finite
        maximum, and the score is that of the smallest α/β tried. The mathematics is
        `cutpoint.gram.log_evidence`'s.

    References
    ----------
    You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", 2021.
    """
    check_compat("log_me", compat, COMPAT)
    X, truth = check_rows(features, labels)
    Y = one_hot(truth, range(truth.max() + 1))
    if compat is None:
        return log_evidence(Spectrum(X, is_centred=False), Y).mean
    problem = _min_eigenvalues(X, Y) if compat == "thuml" else _all_eigenvalues(X, Y)
    return float(np.mean([_published(problem, column, compat) for column in range(Y.shape[1])]))


class _Problem(NamedTuple):
    """Eigenvalues (rank,), squared projections (rank, n_classes), what is left (n_classes,)."""

    eigenvalues: Float64
    squared: Float64
    rest: Float64
    n_items: int
    n_features: int


def _min_eigenvalues(X: Float64, Y: Float64) -> _Problem:
    """Decompose as thuml/LogME does, down to which of min(N, D) eigenvalues it drops."""
    if len(X) <= X.shape[1]:
        vectors, values, _ = np.linalg.svd(X, full_matrices=False)
    else:
        _, squares, axes = np.linalg.svd(X.T @ X)
        values = np.sqrt(squares)
        kept = values > 1e-10
        values, vectors = values[kept], X @ axes[kept].T / values[kept]
    squared = (vectors.T @ Y) ** 2
    return _Problem(values**2, squared, (Y**2).sum(axis=0) - squared.sum(axis=0), *X.shape)


def _all_eigenvalues(X: Float64, Y: Float64) -> _Problem:
    """Decompose with an eigenvalue, maybe zero, for each feature."""
    spectrum = Spectrum(X, is_centred=False)
    squared = (spectrum.vectors.T @ Y) ** 2
    n_missing = X.shape[1] - spectrum.rank
    return _Problem(
        np.pad(spectrum.eigenvalues, (0, n_missing)),
        np.pad(squared, ((0, n_missing), (0, 0))),
        (Y**2).sum(axis=0) - squared.sum(axis=0),
        *X.shape,
    )


def _published(problem: _Problem, column: int, compat: str) -> float:
    """Return the evidence where the published fixed-point iteration stops."""
    sigma, squared, rest = problem.eigenvalues, problem.squared[:, column], problem.rest[column]
    n_items, n_features = problem.n_items, problem.n_features
    tolerance = 1e-3 if compat == "thuml" else 1e-2
    epsilon = 0.0 if compat == "tllib" else 1e-5
    alpha = beta = 1.0
    for _ in range(11):
        t = alpha / beta
        gamma = (sigma / (sigma + t)).sum()
        length = (sigma * squared / (t + sigma) ** 2).sum()
        residual = (squared * (t / (t + sigma)) ** 2).sum() + rest
        alpha, beta = gamma / (length + epsilon), (n_items - gamma) / (residual + epsilon)
        if abs(alpha / beta - t) / t < tolerance:
            break
    if compat == "thuml-icml":  # the others leave epsilon out of the evidence
        residual, length = residual + epsilon, length + epsilon
    evidence = n_features * np.log(alpha) + n_items * np.log(beta / (2 * np.pi))
    evidence -= np.log(alpha + beta * sigma).sum() + beta * residual + alpha * length
    return float(evidence / 2 / n_items)
