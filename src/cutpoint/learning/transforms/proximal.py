"""Multinomial logistic regression with (group) lasso, by accelerated proximal gradient.

::

    min_W,b  mean_n −log softmax(x_n W + b)[y_n]  +  λ Σ_i ‖w_i·‖₂  +  μ Σ_t √(d_t) ‖W_t‖₂

w_i· is feature i's row over the classes, W_t the d_t rows of block t; the intercept b is free. The
plain lasso has ``λ Σ_ij |w_ij|`` in the place of both penalties.

Source: Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer
Learning", 2022 (the λ term); Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding
Algorithm", 2009. Rows lie within blocks, so shrinking rows first and blocks then is the exact
proximal step: Jenatton et al., "Proximal Methods for Hierarchical Sparse Coding", 2011.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.special import softmax

from cutpoint.base.types import Array, Float64
from cutpoint.learning.transforms.base import starts_of


def group_lasso(
    X: Float64,
    targets: Float64,
    penalty: float,
    block_penalty: float,
    blocks: tuple[int, ...],
    max_iter: int,
    tol: float,
) -> tuple[Float64, Float64, int]:
    """Return W, b and the number of iterations.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
    targets : array of shape (n_items, n_classes)
        Zeros and ones.
    penalty, block_penalty : float
        λ and μ above, ≥ 0.
    blocks : tuple of int
        Widths d_t.
    max_iter, tol : int, float
        Ends when no weight moves by more than `tol` times the largest.

    Returns
    -------
    weights : array of shape (n_features, n_classes)
    intercept : array of shape (n_classes,)
    n_iter : int
    """

    def shorter(moved: Float64, step: float) -> Float64:
        return shrink(moved, step * penalty, step * block_penalty, blocks)

    start = np.zeros((X.shape[1] + 1, targets.shape[1]))
    weights, n_iter = _descend(X, targets, shorter, start, max_iter, tol)
    return weights[:-1], weights[-1], n_iter


def lasso(
    X: Float64, targets: Float64, penalty: float, max_iter: int, tol: float
) -> tuple[Float64, Float64, int]:
    """Return W, b and the number of iterations, each weight shrunk by itself.

    Parameters
    ----------
    X, targets, penalty
        As in `group_lasso`.
    max_iter : int
    tol : float
        Ends when no derivative is off its optimum by more than this times the penalty.

    Notes
    -----
    Solved over the columns in use alone, few where the penalty is strong; those that the optimum
    of these would still take in join them, until there are none.
    """

    def shorter(moved: Float64, step: float) -> Float64:
        return np.sign(moved) * np.maximum(np.abs(moved) - step * penalty, 0.0)

    weights = np.zeros((X.shape[1] + 1, targets.shape[1]))
    weights[-1] = np.log(targets.mean(axis=0))
    in_use = np.zeros(len(weights), dtype=bool)
    in_use[-1] = True
    n_iter, within = 0, 1e-4
    while n_iter < max_iter:
        off = _off_optimum(gradient(X, targets, weights), weights, penalty).max(axis=1)
        if off.max() <= tol * penalty:
            break
        joins = (off > tol * penalty) & ~in_use
        within = within if joins.any() else within / 10
        in_use |= joins
        start = weights[in_use]
        columns = X[:, in_use[:-1]]
        weights[in_use], more = _descend(
            columns, targets, shorter, start, max_iter - n_iter, within
        )
        n_iter += more
    return weights[:-1], weights[-1], n_iter


def _off_optimum(slopes: Float64, weights: Float64, penalty: float) -> Float64:
    """Return how far each derivative is off the lasso's optimum; the last row is that of b."""
    used = np.abs(slopes + penalty * np.sign(weights))
    off = np.where(weights == 0, np.maximum(np.abs(slopes) - penalty, 0.0), used)
    off[-1] = np.abs(slopes[-1])
    return np.asarray(off)


def _descend(
    X: Float64,
    targets: Float64,
    shorter: Callable[[Float64, float], Float64],
    start: Float64,
    max_iter: int,
    tol: float,
) -> tuple[Float64, int]:
    """Return weights, the last row b, and the number of iterations.

    ``shorter(weights, step)`` is the penalty's proximal step.
    """
    step = 1.0 / _curvature(X)
    weights = ahead = start
    momentum = 1.0
    n_iter = 0
    while n_iter < max_iter:
        n_iter += 1
        moved = ahead - step * gradient(X, targets, ahead)
        moved[:-1] = shorter(moved[:-1], step)
        change = moved - weights
        if np.vdot(ahead - moved, change) > 0:  # past the minimum: start the momentum anew
            momentum = 1.0
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + (momentum - 1) / faster * change
        weights, momentum = moved, faster
        if np.abs(change).max() <= tol * np.abs(weights).max():
            break
    return weights, n_iter


def largest_penalty(X: Float64, targets: Float64) -> float:
    """Return the λ from which on all weights are zero: the longest row of the gradient there."""
    shares = targets.mean(axis=0)
    nothing = np.zeros((X.shape[1] + 1, targets.shape[1]))
    nothing[-1] = np.log(shares)
    return float(np.linalg.norm(gradient(X, targets, nothing)[:-1], axis=1).max())


def gradient(X: Float64, targets: Float64, weights: Float64) -> Float64:
    """Return the gradient of the mean cross-entropy; the last row of `weights` is the intercept."""
    errors = softmax(X @ weights[:-1] + weights[-1], axis=1) - targets
    return np.vstack([X.T @ errors, errors.sum(axis=0)]) / len(X)


def shrink(weights: Float64, by: float, block_by: float, blocks: tuple[int, ...]) -> Float64:
    """Return rows, then blocks of rows, shortened by `by` and `block_by` √width, 0 at the least."""
    lengths = np.linalg.norm(weights, axis=1)
    shorter = weights * _kept(lengths, by)[:, None]
    if not block_by:
        return shorter
    squares = np.square(shorter).sum(axis=1)
    block_lengths = np.sqrt(np.add.reduceat(squares, starts_of(blocks)))
    factors = _kept(block_lengths, block_by * np.sqrt(blocks))
    return np.asarray(shorter * np.repeat(factors, blocks)[:, None], dtype=np.float64)


def _kept(lengths: Float64, by: float | Float64) -> Float64:
    """Return the share of each length that is left."""
    safe = np.where(lengths > 0, lengths, 1.0)
    return np.maximum(0.0, 1 - by / safe)


def _curvature(X: Float64) -> float:
    """Return a bound on the second derivative: ½ ‖[X 1]‖² / n, softmax's own being at most ½."""
    n_items, width = X.shape[0], X.shape[1] + 1
    ones = np.ones((n_items, 1))
    if min(n_items, width) < 8:
        return float(np.linalg.norm(np.hstack([X, ones]), 2) ** 2 / (2 * n_items))

    def square(v: Array) -> Array:
        product: Array = X @ (X.T @ v) + v.sum()
        return product

    operator = LinearOperator((n_items, n_items), matvec=square, dtype=np.float64)
    start = np.ones(n_items) + np.linspace(0, 1, n_items)  # seeded: the same each time
    largest = eigsh(operator, k=1, v0=start, tol=1e-3, return_eigenvectors=False)[0]
    return float(1.01 * largest / (2 * n_items))
