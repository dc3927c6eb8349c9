"""Exact leave-one-out ridge (acceptance check 2 of the science page)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV

from cutpoint.errors import ShapeError, UsageError
from cutpoint.gram import Spectrum, alpha_grid, one_hot

N_ITEMS = 150
ALPHAS = (0.03, 3.0, 300.0)


def problem(n_features: int, n_items: int = N_ITEMS, seed: int = 0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n_items)
    X = random.normal(size=(n_items, n_features)) + labels[:, None] * 0.3
    return X, one_hot(labels, range(3))


@pytest.mark.parametrize("n_features", [20, 149, 150, 600])
def test_loo_equals_refitting_without_each_row(n_features: int) -> None:
    """Reference: scikit-learn's `Ridge` refitted N times for each of 3 λ; tolerance 1e-8."""
    X, Y = problem(n_features)
    spectrum = Spectrum(X)
    for alpha in ALPHAS:
        found = spectrum.loo(Y, alpha)
        for row in range(0, N_ITEMS, 1 if n_features == 20 else 10):
            rest = np.arange(N_ITEMS) != row
            refit = Ridge(alpha, solver="svd").fit(X[rest], Y[rest])
            np.testing.assert_allclose(found[row], refit.predict(X[[row]])[0], atol=1e-8)


@pytest.mark.parametrize("n_features", [30, 400])
def test_loo_equals_ridgecv(n_features: int) -> None:
    """Reference: scikit-learn's `RidgeCV(store_cv_results=True)`; tolerance 1e-8."""
    X, Y = problem(n_features)
    reference = RidgeCV(ALPHAS, store_cv_results=True).fit(X, Y)
    spectrum = Spectrum(X)
    for place, alpha in enumerate(ALPHAS):
        squared = (spectrum.loo(Y, alpha) - Y) ** 2
        np.testing.assert_allclose(squared, reference.cv_results_[..., place], atol=1e-8)


def test_both_gram_matrices_give_the_same_predictions() -> None:
    """N×N for wide features, D×D for narrow ones: padding with constants crosses the line."""
    X, Y = problem(100)
    padded = np.hstack([X, np.ones((N_ITEMS, 100))])
    for alpha in ALPHAS:
        narrow, wide = Spectrum(X).loo(Y, alpha), Spectrum(padded).loo(Y, alpha)
        np.testing.assert_allclose(narrow, wide, atol=1e-8)


def test_a_rotation_of_the_features_changes_nothing() -> None:
    X, Y = problem(80)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(80, 80)))[0]
    found = Spectrum(X @ rotation).loo(Y, 2.0)
    np.testing.assert_allclose(found, Spectrum(X).loo(Y, 2.0), atol=1e-9)


@pytest.mark.parametrize("n_features", [40, 300])
def test_leaving_groups_out_equals_refitting_without_each_group(n_features: int) -> None:
    """Reference: scikit-learn's `Ridge` refitted without the group; tolerance 1e-8."""
    X, Y = problem(n_features)
    groups = np.random.default_rng(2).integers(0, 60, N_ITEMS)
    found = Spectrum(X).loo(Y, 3.0, groups)
    for group in np.unique(groups):
        out = groups == group
        refit = Ridge(3.0, solver="svd").fit(X[~out], Y[~out])
        np.testing.assert_allclose(found[out], refit.predict(X[out]), atol=1e-8)


@pytest.mark.parametrize("n_features", [40, 300])
def test_the_solution_equals_scikit_learns_ridge(n_features: int) -> None:
    X, Y = problem(n_features)
    solution = Spectrum(X).solve(Y, 5.0)
    reference = Ridge(5.0, solver="svd").fit(X, Y)
    np.testing.assert_allclose(solution.coef, reference.coef_, atol=1e-10)
    np.testing.assert_allclose(solution.intercept, reference.intercept_, atol=1e-10)


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 30), st.integers(1, 40), st.integers(0, 99))
def test_loo_is_finite_and_order_free(n_items: int, n_features: int, seed: int) -> None:
    X, Y = problem(n_features, n_items, seed)
    order = np.random.default_rng(seed).permutation(n_items)
    alpha = float(alpha_grid(Spectrum(X))[5])
    found = Spectrum(X).loo(Y, alpha)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(Spectrum(X[order]).loo(Y[order], alpha), found[order], atol=1e-7)


def test_constant_features_predict_the_mean_of_the_others() -> None:
    Y = one_hot([0, 0, 1, 1], range(2))
    found = Spectrum(np.ones((4, 3))).loo(Y, 1.0)
    np.testing.assert_allclose(found[0], [1 / 3, 2 / 3])


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_an_alpha_that_is_not_positive_is_refused(alpha: float) -> None:
    X, Y = problem(5)
    with pytest.raises(UsageError, match="not positive"):
        Spectrum(X).loo(Y, alpha)


def test_one_group_of_all_rows_is_refused() -> None:
    X, Y = problem(5)
    with pytest.raises(UsageError, match="All 150 rows are of one group"):
        Spectrum(X).loo(Y, 1.0, np.zeros(N_ITEMS))


def test_a_vector_is_no_feature_matrix() -> None:
    with pytest.raises(ShapeError, match=r"\(7,\)"):
        Spectrum(np.zeros(7))
