"""TransRate: how much shorter features can be coded class by class."""

from __future__ import annotations

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.transferability.checks import check_compat, check_rows

COMPAT = ("tllib", "survey")


def transrate(
    features: Array, labels: Array, epsilon: float = 1e-4, compat: str | None = None
) -> float:
    """Return the coding rate of all rows minus that within classes, in nats.

    ``R(F) − Σ_c (n_c/N) R(F_c)`` with ``R(F) = ½ ln det(I + FᵀF / (n ε))``, F centred once.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
        The score depends on their scale: only features scaled alike can be compared.
    labels : array of shape (n_items,)
    epsilon : float, default 1e-4
        Distortion allowed, > 0.
    compat : {"tllib", "survey"}, optional
        Published code. ``"tllib"`` gives each class the same weight, whatever its size;
        ``"survey"`` divides the centred features by their Frobenius norm.

    References
    ----------
    Huang et al., "Frustratingly Easy Transferability Estimation", 2022.
    """
    check_compat("transrate", compat, COMPAT)
    X, truth = check_rows(features, labels)
    centred = X - X.mean(axis=0)
    if compat == "survey":
        centred = centred / np.linalg.norm(centred)
    counts = np.bincount(truth)
    weights = np.full(len(counts), 1 / len(counts)) if compat == "tllib" else counts / len(X)
    rates = [_coding_rate(centred[truth == label], epsilon) for label in range(len(counts))]
    return _coding_rate(centred, epsilon) - float(weights @ rates)


def _coding_rate(rows: Float64, epsilon: float) -> float:
    """Return half the log-determinant, by the smaller of the two Gram matrices."""
    n_items, n_features = rows.shape
    gram = rows @ rows.T if n_items < n_features else rows.T @ rows
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (n_items * epsilon))[1] / 2)
