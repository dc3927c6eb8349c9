"""Projections by chance; their shapes and their saving are among the properties."""

from __future__ import annotations

import numpy as np

from cutpoint.learning.transforms import OrthogonalProjection

X = np.random.default_rng(0).normal(size=(500, 12))


def test_all_directions_are_a_turn() -> None:
    """Distances and angles are kept; 1e-12."""
    turned = OrthogonalProjection(12).fit_transform(X)
    np.testing.assert_allclose(turned @ turned.T, X @ X.T, atol=1e-12 * 500)


def test_more_directions_than_columns_lose_nothing() -> None:
    """Distances and angles are kept in the larger space; 1e-12."""
    up = OrthogonalProjection(40).fit_transform(X)
    assert up.shape == (500, 40)
    np.testing.assert_allclose(up @ up.T, X @ X.T, atol=1e-12 * 500)


def test_some_directions_are_at_right_angles_and_keep_lengths_on_average() -> None:
    projection = OrthogonalProjection(5).fit(X)
    np.testing.assert_allclose(
        projection.components_ @ projection.components_.T, np.eye(5) * 12 / 5, atol=1e-12
    )
    # Mean of a fixed row's squared length over 2000 draws: 1 within 4 standard errors, (12/5)²·
    # 2·5·7 / (12²·14) being the variance of a Beta(5/2, 7/2) thus scaled.
    row = X[:1] / np.linalg.norm(X[0])
    lengths = [
        np.square(OrthogonalProjection(5, random_state=seed).fit(row).transform(row)).sum()
        for seed in range(2000)
    ]
    error = np.sqrt((12 / 5) ** 2 * 2 * 5 * 7 / (12**2 * 14) / 2000)
    assert abs(np.mean(lengths) - 1) < 4 * error
