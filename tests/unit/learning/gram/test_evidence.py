"""Exact evidence (acceptance check 1 of the science page)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from cutpoint.learning.gram import Spectrum, log_evidence, one_hot


def problem(n_items: int, n_features: int, seed: int = 0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n_items)
    X = random.normal(size=(n_items, n_features)) + labels[:, None] * 0.3 + 0.5
    return X, one_hot(labels, range(3))


def dense(X: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """Direct formula: log N(y; 0, 1/β + XXᵀ/α) by item."""
    covariance = np.eye(len(y)) / beta + X @ X.T / alpha
    log_det = np.linalg.slogdet(covariance)[1]
    distance = y @ np.linalg.solve(covariance, y)
    return float(-(len(y) * np.log(2 * np.pi) + log_det + distance) / 2 / len(y))


def fixed_point(X: np.ndarray, y: np.ndarray) -> float:
    """MacKay's updates of α and β, which LogME's published code iterates, to convergence."""
    sigma, vectors = np.linalg.eigh(X.T @ X)
    right = vectors.T @ (X.T @ y)
    alpha = beta = 1.0
    for _ in range(10_000):
        gamma = (beta * sigma / (alpha + beta * sigma)).sum()
        m = vectors @ (beta * right / (alpha + beta * sigma))
        alpha, beta = gamma / (m @ m), (len(y) - gamma) / ((y - X @ m) ** 2).sum()
    m = vectors @ (beta * right / (alpha + beta * sigma))
    n, d = X.shape
    fit = beta * ((y - X @ m) ** 2).sum() + alpha * m @ m + np.log(alpha + beta * sigma).sum()
    return float((d * np.log(alpha) + n * np.log(beta / 2 / np.pi) - fit) / 2 / n)


@pytest.mark.parametrize("n_features", [20, 80, 300])
def test_uncentred_evidence_is_that_of_the_dense_gaussian(n_features: int) -> None:
    """Tolerance 1e-9; and no other α and β have more."""
    X, Y = problem(80, n_features)
    found = log_evidence(Spectrum(X, is_centred=False), Y)
    for target in range(3):
        alpha, beta = found.alpha[target], found.beta[target]
        here = dense(X, Y[:, target], alpha, beta)
        assert found.per_target[target] == pytest.approx(here, abs=1e-9)
        for factor in (0.5, 0.99, 1.01, 2):
            assert dense(X, Y[:, target], alpha * factor, beta) < here + 1e-12
            assert dense(X, Y[:, target], alpha, beta * factor) < here + 1e-12
    assert found.mean == pytest.approx(found.per_target.mean())


@pytest.mark.parametrize("n_features", [20, 80, 300])
def test_centred_evidence_is_that_of_the_contrasts(n_features: int) -> None:
    """Dense Gaussian of Aᵀy with the N − 1 columns of A orthonormal and orthogonal to 1."""
    X, Y = problem(80, n_features)
    contrasts = scipy.linalg.null_space(np.ones((1, 80)))
    found = log_evidence(Spectrum(X), Y)
    for target in range(3):
        here = dense(
            contrasts.T @ X, contrasts.T @ Y[:, target], found.alpha[target], found.beta[target]
        )
        assert found.per_target[target] == pytest.approx(here, abs=1e-9)
    moved = log_evidence(Spectrum(X + 3), Y + 2)
    np.testing.assert_allclose(moved.per_target, found.per_target, atol=1e-9)


@pytest.mark.parametrize("n_features", [10, 60])
def test_with_more_rows_than_features_it_is_the_published_score(n_features: int) -> None:
    """Against the fixed-point equations run to convergence; tolerance 1e-5."""
    X, Y = problem(200, n_features)
    found = log_evidence(Spectrum(X, is_centred=False), Y)
    for target in range(3):
        assert found.per_target[target] == pytest.approx(fixed_point(X, Y[:, target]), abs=1e-5)


@pytest.mark.parametrize("is_centred", [False, True])
def test_the_gram_matrix_is_enough(is_centred: bool) -> None:
    X, Y = problem(60, 200)
    of_gram = Spectrum.of_gram(X @ X.T, 200, is_centred=is_centred)
    expected = log_evidence(Spectrum(X, is_centred=is_centred), Y).per_target
    np.testing.assert_allclose(log_evidence(of_gram, Y).per_target, expected, atol=1e-9)


@pytest.mark.parametrize("is_centred", [False, True])
def test_a_weight_of_two_is_a_row_that_stands_there_twice(is_centred: bool) -> None:
    X, Y = problem(40, 15)
    weights = np.random.default_rng(1).integers(1, 4, 40)
    rows = np.repeat(np.arange(40), weights)
    weighted = Spectrum(X, weights.astype(float), is_centred=is_centred)
    repeated = log_evidence(Spectrum(X[rows], is_centred=is_centred), Y[rows])
    np.testing.assert_allclose(log_evidence(weighted, Y).per_target, repeated.per_target, atol=1e-9)


def test_wide_noise_does_not_pass_for_knowledge() -> None:
    """More features of nothing must not look better than a few of something."""
    X, Y = problem(100, 20)
    noise = np.random.default_rng(1).normal(size=(100, 2000))
    assert log_evidence(Spectrum(X), Y).mean > log_evidence(Spectrum(noise), Y).mean
