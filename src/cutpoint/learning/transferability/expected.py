"""LEEP: how well the source's own classes predict the labels."""

from __future__ import annotations

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.transferability.checks import check_compat, check_probabilities

COMPAT = ("sfda",)


def leep(source_probabilities: Array, labels: Array, compat: str | None = None) -> float:
    """Return the mean log of ``Σ_z P(label | z) P(z | item)``, ≤ 0.

    Parameters
    ----------
    source_probabilities : array of shape (n_items, n_source_classes)
        Softmax outputs of the head the backbone was trained with; rows sum to 1.
    labels : array of shape (n_items,)
    compat : {"sfda"}, optional
        Published code that leaves the logarithm out: a mean probability, 0–1.

    References
    ----------
    Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations",
    2020.
    """
    check_compat("leep", compat, COMPAT)
    P, truth = check_probabilities(source_probabilities, labels)
    return mean_log(expected_probability(P, truth), compat)


def expected_probability(P: Float64, truth: Array) -> Float64:
    """Return each row's probability of its own label, by way of the source classes."""
    joint = np.zeros((int(truth.max()) + 1, P.shape[1]))
    np.add.at(joint, truth, P)
    totals = joint.sum(axis=0)
    # A source class without any probability says nothing; published code divides 0 by 0 there.
    conditional = np.divide(joint, totals, out=np.zeros_like(joint), where=totals > 0)
    return np.asarray((conditional[truth] * P).sum(axis=1), dtype=np.float64)


def mean_log(probability: Float64, compat: str | None) -> float:
    """Return the mean logarithm, or as "sfda" the mean."""
    return float((probability if compat == "sfda" else np.log(probability)).mean())
