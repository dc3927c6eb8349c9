from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from cutpoint.base.errors import UsageError
from cutpoint.learning.transferability import gbc
from tests.references import inputs


def test_the_coefficient_is_the_integral_of_the_densities_root() -> None:
    """Reference: scipy's numerical integral of √(p q); tolerance 1e-8."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(0, 1, 50), random.normal(1, 2, 70)])
    y = np.repeat([0, 1], [50, 70])
    first, second = (norm(X[y == label].mean(), X[y == label].std()) for label in (0, 1))
    overlap = quad(lambda x: np.sqrt(first.pdf(x) * second.pdf(x)), -30, 30)[0]
    for gaussian in ("diagonal", "spherical"):
        found = gbc(X[:, None], y, gaussian, n_components=None)
        assert found == pytest.approx(-2 * overlap, abs=1e-8)


def test_independent_features_multiply_their_overlaps() -> None:
    X, y = inputs.uneven()
    X = X[:, :2]
    each = [gbc(X[:, [column]], y, n_components=None) for column in (0, 1)]
    assert gbc(X, y, n_components=None) == pytest.approx(-each[0] * each[1] / 2)


def test_the_published_spherical_score_counts_the_logarithm_once() -> None:
    random = np.random.default_rng(0)
    X = np.concatenate([random.normal(0, 1, (50, 64)), random.normal(0, 3, (50, 64))])
    y = np.repeat([0, 1], 50)
    ours, published = (gbc(X, y, "spherical", compat=each) for each in (None, "google"))
    assert -1e-6 < ours < 0
    assert published < -1  # as if the classes overlapped by half


def test_other_gaussians_are_refused() -> None:
    with pytest.raises(UsageError, match="diagonal or spherical"):
        gbc(*inputs.tall(), gaussian="full")
