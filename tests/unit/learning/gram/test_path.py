from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import Spectrum, alpha_grid, leave_out, loo_path, one_hot, path

N_ITEMS = 120


def problem(n_features: int):
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, N_ITEMS)
    X = random.normal(size=(N_ITEMS, n_features)) + labels[:, None] * 0.2
    return X, one_hot(labels, range(4)), random.integers(0, 50, N_ITEMS)


@pytest.mark.parametrize("n_features", [30, 300])
@pytest.mark.parametrize("is_grouped", [False, True])
def test_all_alphas_at_once_are_each_alone(n_features: int, is_grouped: bool) -> None:
    X, Y, groups = problem(n_features)
    spectrum, groups = Spectrum(X), groups if is_grouped else None
    alphas = alpha_grid(spectrum)
    found = loo_path(spectrum, Y, alphas, groups)
    alone = [((spectrum.loo(Y, alpha, groups) - Y) ** 2).mean(0) for alpha in alphas]
    np.testing.assert_allclose(found.squared_errors, alone, rtol=1e-10)
    assert found.mse == found.totals.min()
    np.testing.assert_allclose(found.scores, spectrum.loo(Y, found.alpha, groups), atol=1e-12)


def test_weighted_errors_are_those_of_ridgecv() -> None:
    """Reference: scikit-learn's `RidgeCV`, whose squared errors carry their weight."""
    X, Y, _ = problem(40)
    weights = np.random.default_rng(1).exponential(size=N_ITEMS)
    alphas = [0.1, 10.0, 1000.0]
    reference = RidgeCV(alphas, store_cv_results=True).fit(X, Y, sample_weight=weights)
    found = loo_path(Spectrum(X, weights), Y, alphas)
    expected = reference.cv_results_.sum(0).T / weights.sum()
    np.testing.assert_allclose(found.squared_errors, expected, rtol=1e-8)


def test_what_is_held_does_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y, groups = problem(30)
    spectrum = Spectrum(X)
    together = loo_path(spectrum, Y, alpha_grid(spectrum), groups)
    monkeypatch.setattr(path, "PATH_BYTES", 3 * 8 * spectrum.rank * Y.shape[1])
    monkeypatch.setattr(leave_out, "_BLOCK_NUMBERS", 100)
    by_threes = loo_path(spectrum, Y, alpha_grid(spectrum), groups)
    np.testing.assert_allclose(by_threes.squared_errors, together.squared_errors, rtol=1e-12)


def test_of_equal_alphas_the_first_is_best() -> None:
    X, Y, _ = problem(30)
    assert loo_path(Spectrum(X), Y, [3.0, 3.0]).best == 0


@pytest.mark.parametrize(("alphas", "message"), [([], "empty"), ([1.0, -1.0], "alpha=-1.0")])
def test_alphas_must_be_there_and_positive(alphas: list[float], message: str) -> None:
    X, Y, _ = problem(5)
    with pytest.raises(UsageError, match=message):
        loo_path(Spectrum(X), Y, alphas)
