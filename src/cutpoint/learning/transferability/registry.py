"""Every score by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cutpoint.learning.transferability import (
    bhattacharyya,
    coding,
    correlation,
    entropy,
    expected,
    fisher,
    hscore,
    knn,
    logme,
    mixture,
    ridge,
)


@dataclass(frozen=True)
class Score:
    """A score and what it is made of.

    Attributes
    ----------
    function : callable
        ``function(features or source_probabilities, labels, …, compat=None) -> float``; higher is
        better.
    needs : {"features", "source_probabilities"}
        What its first argument is.
    compat : tuple of str
        Published versions it can reproduce.
    """

    function: Callable[..., float]
    needs: Literal["features", "source_probabilities"] = "features"
    compat: tuple[str, ...] = ()


SCORES: dict[str, Score] = {
    "loo_ridge": Score(ridge.loo_ridge),
    "log_me": Score(logme.log_me, compat=logme.COMPAT),
    "regularised_h_score": Score(hscore.regularised_h_score),
    "knn_loo": Score(knn.knn_loo),
    "gbc": Score(bhattacharyya.gbc, compat=bhattacharyya.COMPAT),
    "h_score": Score(hscore.h_score, compat=hscore.COMPAT),
    "transrate": Score(coding.transrate, compat=coding.COMPAT),
    "parc": Score(correlation.parc, compat=correlation.COMPAT),
    "nleep": Score(mixture.nleep, compat=mixture.COMPAT),
    "sfda": Score(fisher.sfda, compat=fisher.COMPAT),
    "leep": Score(expected.leep, "source_probabilities", expected.COMPAT),
    "nce": Score(entropy.nce, "source_probabilities", entropy.COMPAT),
}
"""In the order in which to trust them; the last two need the source's own head."""
