"""Centred kernel alignment (acceptance check 7 of the science page)."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.gram import cka, cka_of_features, hsic


def pair(n_items: int = 60, left: int = 30, right: int = 20):
    random = np.random.default_rng(0)
    X = random.normal(size=(n_items, left)) + 3
    return X, X[:, :right] + random.normal(size=(n_items, right))


def song(K: np.ndarray, L: np.ndarray) -> float:
    """HSIC₁ as Song et al. write it, with zeroed diagonals."""
    n, ones = len(K), np.ones(len(K))
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    of_means = (ones @ K @ ones) * (ones @ L @ ones) / ((n - 1) * (n - 2))
    return float((np.trace(K @ L) + of_means - 2 / (n - 2) * ones @ K @ L @ ones) / (n * (n - 3)))


@pytest.mark.parametrize("is_centred", [False, True])
def test_debiased_hsic_is_song_and_others(is_centred: bool) -> None:
    """Tolerance 1e-10 of the value."""
    X, Z = pair()
    if is_centred:
        X, Z = X - X.mean(0), Z - Z.mean(0)
    K, L = X @ X.T, Z @ Z.T
    assert hsic(K, L) == pytest.approx(song(K, L), rel=1e-10)
    expected = song(K, L) / np.sqrt(song(K, K) * song(L, L))
    assert cka(K, L) == pytest.approx(expected, abs=1e-10)


def test_biased_alignment_is_the_cosine_of_centred_gram_matrices() -> None:
    X, Z = pair()
    centring = np.eye(60) - 1 / 60
    K, L = centring @ X @ X.T @ centring, centring @ Z @ Z.T @ centring
    expected = (K * L).sum() / np.linalg.norm(K) / np.linalg.norm(L)
    assert cka(X @ X.T, Z @ Z.T, debiased=False) == pytest.approx(expected, abs=1e-12)
    assert hsic(X @ X.T, Z @ Z.T, debiased=False) == pytest.approx((K * L).sum() / 59**2)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("widths", [(4, 3), (30, 20), (300, 200)])
def test_features_give_what_their_gram_matrices_give(
    widths: tuple[int, int], debiased: bool
) -> None:
    X, Z = pair(60, *widths)
    expected = cka(X @ X.T, Z @ Z.T, debiased=debiased)
    assert cka_of_features(X, Z, debiased=debiased) == pytest.approx(expected, abs=1e-10)


def test_independent_wide_features_are_not_alike() -> None:
    """N = 100, D = 2000: the biased form says 0.95."""
    random = np.random.default_rng(0)
    X, Z = random.normal(size=(2, 100, 2000))
    assert abs(cka(X @ X.T, Z @ Z.T)) < 0.05
    assert cka(X @ X.T, Z @ Z.T, debiased=False) == pytest.approx(0.953, abs=0.005)


def test_rotation_and_scale_change_nothing() -> None:
    X, _ = pair()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0]
    assert cka_of_features(X, 7 * X @ rotation) == pytest.approx(1)


def test_what_has_no_alignment_is_refused() -> None:
    X, _ = pair()
    with pytest.raises(UsageError, match="all items are the same"):
        cka_of_features(X, np.ones((60, 2)))
    with pytest.raises(UsageError, match="3 items are too few"):
        cka(np.eye(3), np.eye(3))
    with pytest.raises(ShapeError, match=r"\(60, 30\)"):
        cka(X, X)
    with pytest.raises(ShapeError, match=r"\(59, 30\)"):
        cka_of_features(X, X[1:])
