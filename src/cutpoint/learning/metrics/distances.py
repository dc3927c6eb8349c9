"""How far apart two sets of features lie, say those of a source and a target domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64

Kernel = Callable[[Float64, Float64], Float64]
CMMD_WIDTH, CMMD_SCALE = 10.0, 1000.0  # google-research/cmmd, distance.py


def cubic_kernel(A: Float64, B: Float64) -> Float64:
    """Return ``(A Bᵀ / n_features + 1)³``, (n_a, n_b)."""
    return np.asarray((A @ B.T / A.shape[1] + 1) ** 3, dtype=np.float64)


def mmd2(X: Array, Y: Array, kernel: Kernel = cubic_kernel) -> float:
    """Return the unbiased estimate of the squared maximum mean discrepancy.

    About zero, and half of the time below it, where both sets come from one distribution.

    Parameters
    ----------
    X, Y : arrays of shape (n_items, n_features)
        Two rows or more each.
    kernel : callable, default `cubic_kernel`
        ``kernel(A, B)`` of shape (n_a, n_b).

    References
    ----------
    Gretton et al., Journal of Machine Learning Research 13, 2012.
    """
    X, Y = _check(X, Y)
    within = _mean_off_diagonal(kernel(X, X)) + _mean_off_diagonal(kernel(Y, Y))
    return within - 2 * float(kernel(X, Y).mean())


def kid(
    X: Array, Y: Array, n_subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return mean and standard deviation of `mmd2`, cubic kernel, over random subsets.

    Parameters
    ----------
    X, Y : arrays of shape (n_items, n_features)
        Any features; Inception's give the kernel inception distance as published.
    n_subsets, subset_size : int
        Subsets drawn, and rows in each, without replacement.
    seed : int

    Raises
    ------
    UsageError
        If a set has fewer rows than `subset_size`.

    References
    ----------
    Bińkowski et al., "Demystifying MMD GANs", 2018.
    """
    X, Y = _check(X, Y)
    if not 2 <= subset_size <= min(len(X), len(Y)):
        raise UsageError(
            f"KID can't be had from subsets of {subset_size} rows.",
            f"The sets have {len(X)} and {len(Y)} rows.",
            "Subsets of two rows or more, smaller than both sets, else their spread means nothing.",
            f"Type, for example:  kid(X, Y, subset_size={max(2, min(len(X), len(Y)) // 2)})",
        )
    random = np.random.default_rng(seed)

    def draw(rows: Float64) -> Float64:
        return rows[random.choice(len(rows), subset_size, replace=False)]

    found = [mmd2(draw(X), draw(Y)) for _ in range(n_subsets)]
    return float(np.mean(found)), float(np.std(found))


def cmmd(X: Array, Y: Array) -> float:
    """Return CMMD: 1000 times the biased squared discrepancy, Gaussian kernel of width 10, ≥ 0.

    Parameters
    ----------
    X, Y : arrays of shape (n_items, n_features)
        CLIP's image embeddings give CMMD as published; rows are scaled to length 1 as there, rows
        of zeros stay.

    References
    ----------
    Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation",
    2024.
    """
    X, Y = (_unit_rows(rows) for rows in _check(X, Y))

    def mean(A: Float64, B: Float64) -> float:
        return float(np.exp(-cdist(A, B, "sqeuclidean") / (2 * CMMD_WIDTH**2)).mean())

    return CMMD_SCALE * (mean(X, X) + mean(Y, Y) - 2 * mean(X, Y))


def coral(X: Array, Y: Array) -> float:
    """Return ``‖Σ_X − Σ_Y‖²_F / (4 n_features²)``, the distance between covariances, ≥ 0.

    References
    ----------
    Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", 2016.
    """
    X, Y = _check(X, Y)
    difference = np.atleast_2d(np.cov(X, rowvar=False)) - np.atleast_2d(np.cov(Y, rowvar=False))
    return float((difference**2).sum() / (4 * X.shape[1] ** 2))


def fid(X: Array, Y: Array) -> float:
    """Return the Fréchet distance between Gaussians fitted to both sets, ≥ 0.

    ``‖μ − μ'‖² + tr(Σ + Σ' − 2 (Σ Σ')^½)``. Too large by about 1/n_items; take many more rows than
    features, and sets of equal size where distances are compared.

    Notes
    -----
    With Σ = AᵀA and Σ' = BᵀB, the trace of the root is the sum of the singular values of ABᵀ: no
    root of a product that is nearly singular.

    References
    ----------
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium", 2017.
    """
    X, Y = _check(X, Y)
    A, B = _factor(X), _factor(Y)
    root = float(np.linalg.svd(A @ B.T, compute_uv=False).sum())
    moved = float(((X.mean(axis=0) - Y.mean(axis=0)) ** 2).sum())
    return max(0.0, moved + float((A**2).sum() + (B**2).sum()) - 2 * root)


def proxy_a_distance(error: float) -> float:
    """Return ``2 (1 − 2 error)``: 0 where domains can't be told apart, 2 where they always can.

    Parameters
    ----------
    error : float, 0–1
        Held-out error of a classifier of the domain, classes even; a leave-one-out error will do.

    References
    ----------
    Ben-David et al., 2007, who bound the error on the target by such a distance.
    """
    if not 0 <= error <= 1:
        raise UsageError(
            f"{error} is no error that a distance can be made of.",
            "An error is a share of items.",
            "The held-out error of a classifier of the domain, 0–1.",
            "Type, for example:  proxy_a_distance(1 - loo_ridge(features, domains))",
        )
    return 2 * (1 - 2 * error)


def _check(X: Any, Y: Any) -> tuple[Float64, Float64]:
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    is_pair = X.ndim == Y.ndim == 2 and X.shape[1] == Y.shape[1] and min(len(X), len(Y)) >= 2
    if not (is_pair and np.isfinite(X).all() and np.isfinite(Y).all()):
        raise ShapeError(
            "These two sets of features have no distance.",
            f"They have the shapes {X.shape} and {Y.shape}"
            + (" and hold NaN or infinity." if is_pair else "."),
            "Two finite arrays (n_items, n_features) of equal width, two rows or more each.",
            "Look with:  X.shape, Y.shape, numpy.isfinite(X).all()",
        )
    return X, Y


def _unit_rows(rows: Float64) -> Float64:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float64)


def _mean_off_diagonal(matrix: Float64) -> float:
    n_items = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (n_items * (n_items - 1)))


def _factor(rows: Float64) -> Float64:
    """Return A, at most (n_features, n_features), with AᵀA the covariance."""
    triangle = np.linalg.qr(rows - rows.mean(axis=0), mode="r")
    return np.asarray(triangle / np.sqrt(len(rows) - 1), dtype=np.float64)
