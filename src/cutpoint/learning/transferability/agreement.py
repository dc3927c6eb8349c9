"""Whether scores rank models as their accuracies do, and what a ranking must beat."""

from __future__ import annotations

import numpy as np
from scipy.stats import weightedtau

from cutpoint.base.types import Array, Float64


def weighted_tau(scores: Array, truth: Array) -> float:
    """Return the weighted rank correlation of scores and true accuracies, −1 to 1.

    scipy's `weightedtau`: exchanges near the top weigh more, hyperbolically.

    Parameters
    ----------
    scores, truth : arrays of shape (n_models,)

    References
    ----------
    Vigna, "A Weighted Correlation Index for Rankings with Ties", 2015.
    """
    return float(weightedtau(scores, truth).statistic)


def null_band(
    n_models: int, level: float = 0.9, n_draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the band of `weighted_tau` that holds random rankings with probability `level`.

    Parameters
    ----------
    n_models : int
        Two or more.
    level : float, 0–1
    n_draws : int
        Random permutations drawn.
    seed : int
    """
    random = np.random.default_rng(seed)
    truth = np.arange(n_models)
    found = [weighted_tau(random.permutation(n_models), truth) for _ in range(n_draws)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def static_ranking(table: Array) -> Float64:
    """Return scores of models for each data set from the other data sets alone.

    The baseline a transferability score must beat: it never looks at the target. Accuracies are
    standardised within each data set, then averaged over the others.

    Parameters
    ----------
    table : array of shape (n_data_sets, n_models)
        Accuracies after transfer; two data sets or more.

    Returns
    -------
    scores : float64 array of shape (n_data_sets, n_models)
    """
    table = np.asarray(table, dtype=np.float64)
    centred = table - table.mean(axis=1, keepdims=True)
    spread = table.std(axis=1, keepdims=True)
    standard = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return np.asarray((standard.sum(axis=0) - standard) / (len(table) - 1), dtype=np.float64)
