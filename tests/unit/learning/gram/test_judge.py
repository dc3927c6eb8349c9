from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cutpoint.learning.gram import (
    Spectrum,
    Targets,
    alpha_grid,
    judge,
    log_evidence,
    regularised_h_score,
)


def problem(n_features: int = 60):
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 100)
    X = random.normal(size=(100, n_features)) + labels[:, None] * 0.4
    return X.astype(np.float32), labels


@pytest.mark.parametrize("n_features", [60, 200])
def test_classes_are_judged_as_ridgecv_and_the_parts_do(n_features: int) -> None:
    """Reference: scikit-learn's `RidgeCV` on the same λ."""
    X, labels = problem(n_features)
    targets, spectrum = Targets.of_classes(labels), Spectrum(X)
    found = judge(X, targets)
    alphas = alpha_grid(spectrum)
    reference = RidgeCV(alphas, store_cv_results=True).fit(X.astype(np.float64), targets.Y)
    assert found.alpha == pytest.approx(reference.alpha_)
    assert found.loo_mse == pytest.approx(reference.cv_results_.mean((0, 1)).min(), abs=1e-10)
    assert found.log_evidence == log_evidence(spectrum, targets.Y).mean
    assert found.h_score == regularised_h_score(spectrum, targets.Y)
    assert found.is_exact
    assert found.rank == min(n_features, 99)
    assert 0.5 < targets.score(found.scores) < 1


def test_a_spectrum_is_judged_as_its_features_are() -> None:
    X, labels = problem()
    targets = Targets.of_classes(labels)
    of_features, of_spectrum = judge(X, targets), judge(Spectrum(X), targets)
    np.testing.assert_array_equal(of_features.scores, of_spectrum.scores)


def test_values_have_no_h_score() -> None:
    X, labels = problem()
    found = judge(X, Targets.of_values(labels + X[:, 0]), n_alphas=5)
    assert found.h_score is None
    assert found.scores.shape == (100, 1)


def test_groups_and_weights_are_heeded() -> None:
    X, labels = problem()
    targets = Targets.of_classes(labels)
    copies, groups = np.repeat(X, 2, 0), np.repeat(np.arange(100), 2)
    twice = judge(copies, Targets.of_classes(np.repeat(labels, 2)), groups=groups)
    weighted = judge(X, targets, weights=np.full(100, 2.0))
    assert twice.loo_mse == pytest.approx(weighted.loo_mse)
    assert twice.log_evidence == pytest.approx(weighted.log_evidence)
    assert twice.h_score == pytest.approx(weighted.h_score)
    assert judge(X, targets, weights=targets.balanced_weights()).loo_mse > 0


def test_constant_features_are_judged_as_knowing_nothing() -> None:
    _, labels = problem()
    targets = Targets.of_classes(labels)
    found = judge(np.ones((100, 7), np.float32), targets)
    assert found.rank == found.h_score == 0
    assert np.isfinite([found.loo_mse, found.log_evidence]).all()
    # Without features what is left is the variance of the targets, each mean taken without its row.
    expected = targets.Y.var(axis=0).mean() * (100 / 99) ** 2
    assert found.loo_mse == pytest.approx(expected)
