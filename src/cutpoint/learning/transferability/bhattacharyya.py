"""GBC: how much Gaussians fitted to the classes overlap."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.transferability.checks import check_compat, check_rows
from cutpoint.learning.transforms import PCA

COMPAT = ("google",)
FLOOR = 1e-4  # of variances, as in the published code


def gbc(
    features: Array,
    labels: Array,
    gaussian: Literal["diagonal", "spherical"] = "diagonal",
    n_components: int | None = 64,
    compat: str | None = None,
) -> float:
    """Return minus the sum of the Bhattacharyya coefficients of each two classes, ≤ 0.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    gaussian : {"diagonal", "spherical"}, default "diagonal"
        One variance for each component and class, or one for each class.
    n_components : int or None, default 64
        Principal components kept; None for the features as they are.
    compat : {"google"}, optional
        Published code: ``"spherical"`` counts the logarithm of the variances once and not for each
        component. ``"diagonal"`` agrees.

    Notes
    -----
    ``D = ⅛ Δᵀ Σ̄⁻¹ Δ + ½ ln(|Σ̄| / √(|Σ_i| |Σ_j|))``, and the coefficient is exp(−D); each pair
    counts twice. Variances below 10⁻⁴ are raised to it, so the score depends on the features'
    scale.

    References
    ----------
    Pándy et al., "Transferability Estimation using Bhattacharyya Class Separability", 2021.
    """
    check_compat("gbc", compat, COMPAT)
    if gaussian not in ("diagonal", "spherical"):
        raise UsageError(
            f'GBC has no Gaussians "{gaussian}".',
            "It compares classes as Gaussians, each axis on its own or all alike.",
            "diagonal or spherical.",
            'Type:  gbc(features, labels, gaussian="diagonal")',
        )
    X, truth = check_rows(features, labels)
    if n_components is not None:
        X = PCA().fit_transform(X)[:, :n_components]
    groups = [X[truth == label] for label in range(truth.max() + 1)]
    means = np.stack([group.mean(axis=0) for group in groups])
    variances = np.maximum([group.var(axis=0) for group in groups], FLOOR)
    if gaussian == "spherical":
        variances = np.broadcast_to(variances.mean(axis=1, keepdims=True), means.shape)
    counts_once = compat == "google" and gaussian == "spherical"
    return -sum(
        float(np.exp(-_distances(means, variances, label, counts_once)).sum())
        for label in range(len(groups))
    )


def _distances(means: Float64, variances: Float64, label: int, counts_once: bool) -> Float64:
    """Return the Bhattacharyya distance (n_classes,) of one class to each, infinite to itself."""
    middle = (variances + variances[label]) / 2
    apart = ((means - means[label]) ** 2 / middle).sum(axis=1) / 8
    logs = np.log(middle) - (np.log(variances) + np.log(variances[label])) / 2
    spread = logs.mean(axis=1) if counts_once else logs.sum(axis=1)
    distances = apart + spread / 2
    distances[label] = np.inf
    return np.asarray(distances, dtype=np.float64)
