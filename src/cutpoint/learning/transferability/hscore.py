"""H-score: how much of the features' variance, whitened, lies between classes."""

from __future__ import annotations

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning import gram
from cutpoint.learning.gram import Spectrum, one_hot
from cutpoint.learning.transferability.checks import check_compat, check_rows

COMPAT = ("tllib",)


def h_score(features: Array, labels: Array, compat: str | None = None) -> float:
    """Return ``tr(Σ⁺ Σ_b)``, 0 to n_classes − 1.

    Saturates: features that span the rows give n_classes − 1 for any labels, random ones too. With
    fewer than several rows a feature use `regularised_h_score`.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    compat : {"tllib"}, optional
        Published code: a pseudo-inverse that keeps eigenvalues down to 10⁻¹⁵ of the largest, where
        rounding errors lie.

    References
    ----------
    Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning",
    2019.
    """
    check_compat("h_score", compat, COMPAT)
    X, truth = check_rows(features, labels)
    if compat == "tllib":
        return _published(X, truth)
    return gram.h_score(Spectrum(X), one_hot(truth, range(truth.max() + 1)))


def regularised_h_score(features: Array, labels: Array, compat: str | None = None) -> float:
    """Return the H-score with Ledoit and Wolf's shrinkage of the covariance.

    ``(1 − α) tr(Σ_α⁻¹ Σ_b)``, ``Σ_α = (1 − α) Σ + α μ I`` with Σ over N and Σ_b over N − 1, as
    published.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    compat : None
        Published code agrees.

    References
    ----------
    "Newer is not always better: Rethinking transferability metrics, their peculiarities, stability
    and performance", NeurIPS 2021.
    """
    check_compat("regularised_h_score", compat, ())
    X, truth = check_rows(features, labels)
    return gram.regularised_h_score(Spectrum(X), one_hot(truth, range(truth.max() + 1)))


def _published(X: Float64, truth: Array) -> float:
    means = np.stack([X[truth == label].mean(axis=0) for label in range(truth.max() + 1)])
    inverse = np.linalg.pinv(np.cov(X, rowvar=False), rcond=1e-15)
    return float((inverse * np.cov(means[truth], rowvar=False)).sum())
