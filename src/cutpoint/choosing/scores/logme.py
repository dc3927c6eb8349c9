"""LogME: the evidence for one-hot labels under Bayesian linear regression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from cutpoint.choosing.scores.checks import check_compat, check_rows
from cutpoint.gram import one_hot
from cutpoint.types import Array, Float64

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
        In nats a row; higher is better. Features that hold the labels exactly have no finite
        maximum, and the score is that of the smallest α/β tried.

    Notes
    -----
    With t = α/β, eigenvalues σ and eigenvectors U of FFᵀ, z = Uᵀy and r = ‖y‖² − ‖z‖², the best β
    is N/Q with ``Q(t) = Σ z² t/(t + σ) + r``, and the evidence is
    ``−½ (ln(2πQ/N) + 1 + (1/N) Σ ln(1 + σ/t))``: a function of one variable, searched on a grid,
    then refined.

    References
    ----------
    You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", 2021.
    """
    check_compat("log_me", compat, COMPAT)
    X, truth = check_rows(features, labels)
    Y = one_hot(truth, range(truth.max() + 1))
    if compat is None:
        problem = _decompose(X, Y)
        return float(np.mean([_exact(problem, column) for column in range(Y.shape[1])]))
    problem = _published_svd(X, Y) if compat == "thuml" else _all_eigenvalues(X, Y)
    return float(np.mean([_published(problem, column, compat) for column in range(Y.shape[1])]))


class _Problem(NamedTuple):
    """Eigenvalues (rank,), squared projections (rank, n_classes), what is left (n_classes,)."""

    eigenvalues: Float64
    squared: Float64
    rest: Float64
    n_items: int
    n_features: int


def _decompose(X: Float64, Y: Float64) -> _Problem:
    vectors, values, _ = np.linalg.svd(X, full_matrices=False)
    kept = values > values[0] * max(X.shape) * np.finfo(np.float64).eps
    return _problem(X, Y, values[kept] ** 2, vectors[:, kept])


def _problem(X: Float64, Y: Float64, eigenvalues: Float64, vectors: Float64) -> _Problem:
    squared = (vectors.T @ Y) ** 2
    rest = np.maximum((Y**2).sum(axis=0) - squared.sum(axis=0), 0)
    return _Problem(eigenvalues, squared, rest, *X.shape)


def _exact(problem: _Problem, column: int) -> float:
    def evidence(log_t: Float64) -> Float64:
        t = np.exp(np.atleast_1d(log_t))[:, None]
        left = (t / (t + problem.eigenvalues)) @ problem.squared[:, column] + problem.rest[column]
        grown = np.log1p(problem.eigenvalues / t).sum(axis=1)
        n_items = problem.n_items
        found = -(np.log(2 * np.pi * left / n_items) + 1 + grown / n_items) / 2
        return np.asarray(found, dtype=np.float64)

    # 32 values over 16 decades around the largest eigenvalue hold every maximum but that of
    # features which contain the labels.
    grid = np.log(problem.eigenvalues[0]) + np.linspace(np.log(1e-10), np.log(1e6), 32)
    best = int(evidence(grid).argmax())
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(
        lambda log_t: -float(evidence(log_t)[0]), bounds=bounds, method="bounded"
    )
    return -float(found.fun)


def _published_svd(X: Float64, Y: Float64) -> _Problem:
    """Decompose as thuml/LogME does, down to which eigenvalues it drops."""
    if len(X) <= X.shape[1]:
        vectors, values, _ = np.linalg.svd(X, full_matrices=False)
        return _problem(X, Y, values**2, vectors)
    _, squares, axes = np.linalg.svd(X.T @ X)
    values = np.sqrt(squares)
    kept = values > 1e-10
    return _problem(X, Y, values[kept] ** 2, X @ axes[kept].T / values[kept])


def _all_eigenvalues(X: Float64, Y: Float64) -> _Problem:
    """Decompose with an eigenvalue, maybe zero, for each feature."""
    problem = _decompose(X, Y)
    n_missing = X.shape[1] - len(problem.eigenvalues)
    return problem._replace(
        eigenvalues=np.pad(problem.eigenvalues, (0, n_missing)),
        squared=np.pad(problem.squared, ((0, n_missing), (0, 0))),
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
