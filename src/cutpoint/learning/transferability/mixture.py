"""NLEEP: LEEP with the clusters of the features in the place of source classes."""

from __future__ import annotations

from sklearn.mixture import GaussianMixture

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array
from cutpoint.learning.transferability.checks import check_compat, check_rows
from cutpoint.learning.transferability.expected import expected_probability, mean_log
from cutpoint.learning.transforms import PCA

COMPAT = ("sfda",)
ENERGY, COMPONENTS_PER_CLASS = 0.8, 5  # the paper's


def nleep(features: Array, labels: Array, seed: int = 0, compat: str | None = None) -> float:
    """Return LEEP of the posteriors of a Gaussian mixture, ≤ 0.

    Principal components of 80 % of the variance, then a mixture of five full Gaussians per class.

    Parameters
    ----------
    features : array of shape (n_items, n_features)
    labels : array of shape (n_items,)
    seed : int, default 0
        Seed of the mixture's start, on which the score depends.
    compat : {"sfda"}, optional
        Published code that leaves the logarithm out.

    Raises
    ------
    UsageError
        If five components per class are as many as the rows, or more.

    References
    ----------
    Li et al., "Ranking Neural Checkpoints", 2021.
    """
    check_compat("nleep", compat, COMPAT)
    X, truth = check_rows(features, labels)
    n_components = COMPONENTS_PER_CLASS * (int(truth.max()) + 1)
    if n_components >= len(X):
        raise UsageError(
            f"{len(X)} rows are too few for NLEEP's {n_components} Gaussians.",
            f"It fits {COMPONENTS_PER_CLASS} to each of {n_components // COMPONENTS_PER_CLASS} "
            "classes.",
            "More rows than Gaussians; each is fitted with a mean and a covariance of its own.",
            "Another score does with few rows:  loo_ridge(features, labels)",
        )
    reduced = PCA(ENERGY).fit_transform(X)
    mixture = GaussianMixture(n_components, random_state=seed).fit(reduced)
    return mean_log(expected_probability(mixture.predict_proba(reduced), truth), compat)
