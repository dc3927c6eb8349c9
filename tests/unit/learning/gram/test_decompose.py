"""What is decomposed: ranks, weights, centring; each against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.gram.decompose import (
    centre_gram,
    check_weights,
    decompose_gram,
    decompose_rows,
)


def centred(n_items: int, n_features: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n_items, n_features))
    return rows - rows.mean(axis=0)


@pytest.mark.parametrize("n_features", [3, 5, 8])
def test_the_parts_make_the_gram_matrix_again(n_features: int) -> None:
    """P diag(σ) Pᵀ = X Xᵀ and Pᵀ P = 1, σ descending, by either Gram matrix."""
    rows = centred(5, n_features)
    values, vectors = decompose_rows(rows, np.ones(5), 0.0)
    assert values.shape == (min(n_features, 4),)  # centring takes one of five directions
    assert (np.diff(values) < 0).all()
    np.testing.assert_allclose(vectors * values @ vectors.T, rows @ rows.T, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-12)


@pytest.mark.parametrize("n_features", [3, 8])
def test_weighted_parts_are_orthogonal_under_the_weights(n_features: int) -> None:
    rows, weights = centred(6, n_features), np.array([1.0, 2, 0.5, 3, 1, 1])
    values, vectors = decompose_rows(rows, weights, 0.0)
    weighted = vectors.T @ (weights[:, None] * vectors)
    np.testing.assert_allclose(weighted, np.eye(len(values)), atol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, rows @ rows.T, atol=1e-12)


def test_rows_of_no_weight_have_the_coordinates_they_would_be_given() -> None:
    """As new rows: products with the fitted ones, through P and σ."""
    rows, weights = centred(6, 9), np.array([1.0, 0, 1, 2, 0, 1])
    gram = rows @ rows.T
    values, vectors = decompose_gram(gram, weights, 0.0)
    taught = weights > 0
    own_values, own = decompose_gram(gram[np.ix_(taught, taught)], weights[taught], 0.0)
    np.testing.assert_allclose(values[: len(own_values)], own_values)
    new = gram[np.ix_(~taught, taught)] @ (weights[taught, None] * own) / own_values
    np.testing.assert_allclose(np.abs(vectors[~taught]), np.abs(new), atol=1e-9)


def test_directions_up_to_the_noise_are_left_out() -> None:
    rows = np.diag([4.0, 2, 1])
    for noise, rank in ((0.0, 3), (0.99, 3), (1.0, 2), (4.0, 1), (20.0, 0)):
        assert len(decompose_rows(rows, np.ones(3), noise)[0]) == rank
    weak = np.diag([1.0, 1e-6, 1e-7])  # squared: 1, 1e-12, 1e-14
    assert len(decompose_rows(weak, np.ones(3), 0.0)[0]) == 2


def test_a_gram_matrix_is_centred_as_its_rows_are() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3))
    share = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    K = rows @ rows.T
    before = K.copy()
    gram, mean = centre_gram(K, share)
    less = rows - share @ rows
    np.testing.assert_allclose(gram, less @ less.T, atol=1e-12)
    np.testing.assert_allclose(mean, rows @ (share @ rows), atol=1e-12)
    np.testing.assert_array_equal(K, before)
    np.testing.assert_array_equal(centre_gram(K, np.zeros(5))[0], K)


def test_weights_are_ones_unless_given() -> None:
    np.testing.assert_array_equal(check_weights(None, 3), [1.0, 1.0, 1.0])
    found = check_weights([0, 1, 2], 3)  # type: ignore[arg-type]  # two of them positive
    assert (found.dtype, found.tolist()) == (np.float64, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "weights", [[0, 0, 1], [0, 0, 0], [-1, 1, 1], [np.nan, 1, 1], [np.inf, 1, 1]]
)
def test_weights_that_fit_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="Rows can't be weighted by numbers from"):
        check_weights(np.array(weights), 3)


def test_weights_of_another_length_are_refused_with_both_lengths() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2,\) don't fit 3 rows"):
        check_weights(np.ones(2), 3)
