from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from cutpoint.learning.transferability import h_score, regularised_h_score
from tests.references import inputs


def test_h_score_is_the_trace_of_its_definition() -> None:
    X, y = inputs.tall()
    means = np.stack([X[y == label].mean(axis=0) for label in range(10)])
    between = np.cov(means[y], rowvar=False)
    expected = np.trace(np.linalg.solve(np.cov(X, rowvar=False), between))
    assert h_score(X, y) == pytest.approx(expected, rel=1e-10)


def test_the_regularised_score_uses_ledoit_and_wolf_s_covariance() -> None:
    """Reference: scikit-learn's `LedoitWolf`; tolerance 1e-8."""
    X, y = inputs.wide()
    model = LedoitWolf().fit(X)
    means = np.stack([X[y == label].mean(axis=0) for label in range(10)])
    between = (1 - model.shrinkage_) * np.cov(means[y], rowvar=False)
    expected = np.trace(np.linalg.solve(model.covariance_, between))
    assert regularised_h_score(X, y) == pytest.approx(expected, rel=1e-8)


def test_random_labels_saturate_the_plain_score_alone() -> None:
    """N = 200, D = 512, 10 classes: the plain score is 9 whatever the labels."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 512)), np.arange(200) % 10
    assert h_score(X, y) == pytest.approx(9)
    assert regularised_h_score(X, y) < 0.5
