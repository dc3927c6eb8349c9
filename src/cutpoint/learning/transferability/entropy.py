"""NCE: what the source's most probable class leaves unknown about the label."""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from cutpoint.base.types import Array
from cutpoint.learning.transferability.checks import check_compat, check_probabilities

COMPAT = ("dbolya",)


def nce(source_probabilities: Array, labels: Array, compat: str | None = None) -> float:
    """Return minus the conditional entropy −H(label | Z), Z the most probable source class, ≤ 0.

    Parameters
    ----------
    source_probabilities : array of shape (n_items, n_source_classes)
        Rows sum to 1.
    labels : array of shape (n_items,)
    compat : {"dbolya"}, optional
        Published code that adds 10⁻⁵ to each probability of a pair and of a source class.

    References
    ----------
    "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019.
    """
    check_compat("nce", compat, COMPAT)
    P, truth = check_probabilities(source_probabilities, labels)
    joint = np.zeros((int(truth.max()) + 1, P.shape[1]))
    np.add.at(joint, (truth, P.argmax(axis=1)), 1 / len(P))
    totals = joint.sum(axis=0)
    if compat == "dbolya":
        joint, totals = joint + 1e-5, totals + 1e-5
    return float(xlogy(joint, joint).sum() - xlogy(joint, totals).sum())
