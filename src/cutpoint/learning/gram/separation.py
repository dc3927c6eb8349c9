"""How far classes stand apart, from the spectrum: H-scores and the shrinkage they need."""

from __future__ import annotations

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.ridge import Spectrum


def ledoit_wolf(spectrum: Spectrum) -> float:
    """Return the Ledoit–Wolf shrinkage of the features' covariance, 0–1.

    From a centred spectrum: traces of the covariance and of its square are sums over eigenvalues,
    and the lengths of rows are all that is needed besides. Equals scikit-learn's.

    References
    ----------
    Ledoit and Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices",
    Journal of Multivariate Analysis 88, 2004.
    """
    n, n_features = spectrum.total_weight, spectrum.n_features
    mean = spectrum.mean_variance / n_features
    squared = float(np.square(spectrum.eigenvalues).sum()) / n**2
    delta = (squared - n_features * mean**2) / n_features
    fourth = float(spectrum.weights @ np.square(spectrum.squared_lengths)) / n
    beta = (fourth - squared) / (n_features * n)
    return 0.0 if n_features == 1 or delta <= 0 else max(min(beta, delta), 0.0) / delta


def h_score(spectrum: Spectrum, Y: Array) -> float:
    """Return tr(Σ⁺ Σ_b): between-class over all variance, 0 to n_classes − 1.

    It reaches its maximum whatever the labels where there are more features than items; use
    `regularised_h_score` there.

    Parameters
    ----------
    spectrum : Spectrum
        Centred.
    Y : array of shape (n_items, n_classes)
        Zeros and ones, one 1 per row.

    References
    ----------
    "An Information-theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019.
    """
    return float(_between(spectrum, Y).sum())


def regularised_h_score(spectrum: Spectrum, Y: Array) -> float:
    """Return the H-score with the covariance shrunk by `ledoit_wolf`; parameters as there.

    References
    ----------
    "Newer is not always better: Rethinking transferability metrics, their peculiarities, stability
    and performance", NeurIPS 2021.
    """
    n = spectrum.total_weight
    shrinkage = ledoit_wolf(spectrum)
    kept = (1 - shrinkage) * spectrum.eigenvalues / n
    floor = shrinkage * spectrum.mean_variance / spectrum.n_features
    # Between-class covariance is divided by n − 1 in the published code, all of it by n.
    return float((kept / (kept + floor)) @ _between(spectrum, Y)) * n / (n - 1)


def _between(spectrum: Spectrum, Y: Array) -> Float64:
    """Return, for each direction u, the squared length of its projection on class means."""
    weighted = spectrum.weights[:, None] * Y
    sizes = weighted.sum(axis=0)
    sums = weighted.T[sizes > 0] @ spectrum.vectors  # (n_classes, rank)
    return np.asarray((np.square(sums) / sizes[sizes > 0, None]).sum(axis=0), dtype=np.float64)
