"""H-scores and shrinkage (acceptance check 3 of the science page)."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from cutpoint.learning.gram import Spectrum, h_score, ledoit_wolf, one_hot, regularised_h_score

N_ITEMS = 120


def problem(n_features: int):
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, N_ITEMS)
    X = random.normal(size=(N_ITEMS, n_features)) * np.arange(1, n_features + 1) ** -0.3
    return X + labels[:, None] * 0.1 + 1, labels, one_hot(labels, range(4))


def between(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    means = np.array([X[labels == label].mean(0) for label in range(labels.max() + 1)])
    return np.cov(means[labels], rowvar=False)


@pytest.mark.parametrize("n_features", [1, 2, 30, 119, 120, 500])
def test_shrinkage_is_that_of_scikit_learn(n_features: int) -> None:
    """Reference: `LedoitWolf().shrinkage_`; tolerance 1e-10."""
    X, _, _ = problem(n_features)
    assert ledoit_wolf(Spectrum(X)) == pytest.approx(LedoitWolf().fit(X).shrinkage_, abs=1e-10)


@pytest.mark.parametrize("n_features", [2, 30, 119, 500])
def test_the_regularised_score_is_the_dense_formula(n_features: int) -> None:
    """tr(Σ_α⁻¹ (1 − α) Σ_b) with scikit-learn's Ledoit–Wolf Σ_α, as tllib defines it; 1e-8."""
    X, labels, Y = problem(n_features)
    covariance = LedoitWolf().fit(X)
    kept = (1 - covariance.shrinkage_) * between(X, labels)
    expected = np.trace(np.linalg.solve(covariance.covariance_, kept))
    assert regularised_h_score(Spectrum(X), Y) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("n_features", [2, 30, 60])
def test_the_score_is_the_dense_formula(n_features: int) -> None:
    """tr(Σ⁻¹ Σ_b), as tllib defines it, where Σ can be inverted; 1e-8."""
    X, labels, Y = problem(n_features)
    expected = np.trace(np.linalg.solve(np.cov(X, rowvar=False), between(X, labels)))
    assert h_score(Spectrum(X), Y) == pytest.approx(expected, abs=1e-8)


def test_random_labels_fill_the_plain_score_and_not_the_regularised_one() -> None:
    """N = 200, D = 512, ten classes: 9 = C − 1 for nothing learned."""
    random = np.random.default_rng(0)
    spectrum = Spectrum(random.normal(size=(200, 512)))
    Y = one_hot(random.permutation(np.arange(200) % 10), range(10))
    assert h_score(spectrum, Y) == pytest.approx(9)
    assert regularised_h_score(spectrum, Y) < 0.5


def test_the_gram_matrix_is_enough_and_unseen_classes_change_nothing() -> None:
    X, labels, Y = problem(300)
    of_gram = Spectrum.of_gram(X @ X.T, 300)
    expected = regularised_h_score(Spectrum(X), Y)
    assert regularised_h_score(of_gram, Y) == pytest.approx(expected, abs=1e-9)
    assert regularised_h_score(of_gram, one_hot(labels, range(6))) == pytest.approx(expected)


def test_a_weight_of_two_is_a_row_that_stands_there_twice() -> None:
    X, _, Y = problem(30)
    weights = np.random.default_rng(1).integers(1, 4, N_ITEMS)
    rows = np.repeat(np.arange(N_ITEMS), weights)
    weighted, repeated = Spectrum(X, weights.astype(float)), Spectrum(X[rows])
    assert ledoit_wolf(weighted) == pytest.approx(ledoit_wolf(repeated))
    assert regularised_h_score(weighted, Y) == pytest.approx(regularised_h_score(repeated, Y[rows]))


def test_constant_features_separate_nothing() -> None:
    spectrum, Y = Spectrum(np.ones((4, 3))), one_hot([0, 0, 1, 1], range(2))
    assert h_score(spectrum, Y) == regularised_h_score(spectrum, Y) == ledoit_wolf(spectrum) == 0
