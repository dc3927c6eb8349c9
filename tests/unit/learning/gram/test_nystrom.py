from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import (
    Spectrum,
    draw_landmarks,
    nystrom,
    nystrom_features,
    nystrom_map,
    one_hot,
    spectrum_of,
)


def rows(n_items: int = 200, n_features: int = 400) -> np.ndarray:
    """Rows near a space of 40 dimensions, in float32."""
    random = np.random.default_rng(0)
    few = random.normal(size=(n_items, 40)) @ random.normal(size=(40, n_features))
    return (few + 0.1 * random.normal(size=few.shape)).astype(np.float32)


def products(features: np.ndarray) -> np.ndarray:
    return features @ features.T


def test_all_rows_as_landmarks_give_all_products() -> None:
    X = rows().astype(np.float64)
    centred = X - X.mean(0)
    np.testing.assert_allclose(products(nystrom_features(X, len(X))), products(centred), atol=1e-6)


def test_products_are_those_of_scikit_learns_nystroem() -> None:
    """Reference: `Nystroem(kernel="linear")`, given the landmarks alone."""
    X = rows().astype(np.float64)
    X -= X.mean(0)
    landmarks = draw_landmarks(len(X), 60)
    reference = Nystroem(kernel="linear", n_components=60).fit(X[landmarks]).transform(X)
    np.testing.assert_allclose(
        products(nystrom_features(X, 60)), products(reference), rtol=1e-6, atol=1e-6
    )


def test_a_sum_of_kernels_has_a_map_too() -> None:
    """Layers side by side are the sum of their products, landmarks alone compared."""
    X = rows().astype(np.float64)
    X -= X.mean(0)
    left, right = X[:, :100], X[:, 100:]
    landmarks = draw_landmarks(len(X), 60)
    cross = left @ left[landmarks].T + right @ right[landmarks].T
    features = nystrom_map(landmarks, cross[landmarks])(cross)
    np.testing.assert_allclose(products(features), products(nystrom_features(X, 60)), atol=1e-6)


def test_more_landmarks_come_nearer_to_the_exact_scores() -> None:
    X = rows()
    Y = one_hot(np.random.default_rng(1).integers(0, 2, len(X)), range(2))
    exact = Spectrum(X).loo(Y, 100.0)
    errors = [
        np.abs(Spectrum(nystrom_features(X, count)).loo(Y, 100.0) - exact).max()
        for count in (10, 60, 200)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def test_what_is_approximated_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spectrum_of(rows()).is_exact
    monkeypatch.setattr(nystrom, "MAX_EXACT", 150)
    monkeypatch.setattr(nystrom.nystrom_features, "__defaults__", (50, 0))
    found = spectrum_of(rows())
    assert not found.is_exact
    assert found.rank <= 50
    assert spectrum_of(rows(n_features=100)).is_exact  # tall: D × D


def test_landmarks_are_seeded_and_distinct() -> None:
    landmarks = draw_landmarks(1000, 100)
    np.testing.assert_array_equal(landmarks, draw_landmarks(1000, 100))
    assert len(np.unique(landmarks)) == 100
    assert (draw_landmarks(1000, 100, seed=1) != landmarks).any()
    with pytest.raises(UsageError, match="From 2 to 10"):
        draw_landmarks(10, 11)


def test_from_two_landmarks_to_all_rows() -> None:
    assert draw_landmarks(10, 10).tolist() == list(range(10))
    assert len(draw_landmarks(10, 2)) == 2
    assert len(draw_landmarks(3000)) == nystrom.N_LANDMARKS == 2048
    for count, instead in ((1, 2), (0, 2), (11, 2)):
        with pytest.raises(UsageError, match=rf"draw_landmarks\(10, {instead}\)"):
            draw_landmarks(10, count)
    with pytest.raises(UsageError, match=r"draw_landmarks\(40, 10\)"):
        draw_landmarks(40, 41)


def test_features_made_block_by_block_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nystrom_features(rows(), 40)
    monkeypatch.setattr(nystrom, "_BLOCK_ROWS", 7)
    np.testing.assert_allclose(nystrom_features(rows(), 40), whole, atol=1e-12)


def test_as_many_rows_as_are_decomposed_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    X = rows()
    monkeypatch.setattr(nystrom.nystrom_features, "__defaults__", (50, 0))
    monkeypatch.setattr(nystrom, "MAX_EXACT", min(X.shape))
    assert spectrum_of(X).is_exact
    monkeypatch.setattr(nystrom, "MAX_EXACT", min(X.shape) - 1)
    assert not spectrum_of(X).is_exact
