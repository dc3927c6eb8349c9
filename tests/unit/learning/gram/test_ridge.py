"""Exact leave-one-out ridge (acceptance check 2 of the science page)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.learning.gram import Spectrum, alpha_grid, one_hot

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
    with pytest.raises(UsageError, match="all 150 rows are of one group"):
        Spectrum(X).loo(Y, 1.0, np.zeros(N_ITEMS))


def test_a_vector_is_no_feature_matrix() -> None:
    with pytest.raises(ShapeError, match=r"\(7,\)"):
        Spectrum(np.zeros(7))


@pytest.mark.parametrize("n_features", [20, 400])
def test_weighted_loo_equals_weighted_refitting_without_each_row(n_features: int) -> None:
    """Reference: scikit-learn's `Ridge(...).fit(sample_weight=)`; some weights are 0."""
    X, Y = problem(n_features, 60)
    weights = np.random.default_rng(3).exponential(size=60)
    weights[[2, 7, 11]] = 0
    found = Spectrum(X, weights).loo(Y, 3.0)
    for row in range(60):
        rest = np.arange(60) != row
        refit = Ridge(3.0, solver="cholesky").fit(X[rest], Y[rest], sample_weight=weights[rest])
        np.testing.assert_allclose(found[row], refit.predict(X[[row]])[0], atol=1e-8)


@pytest.mark.parametrize("n_features", [20, 400])
def test_weighted_groups_equal_weighted_refitting_without_each_group(n_features: int) -> None:
    X, Y = problem(n_features, 60)
    random = np.random.default_rng(3)
    weights, groups = random.exponential(size=60), random.integers(0, 20, 60)
    weights[:4] = 0
    found = Spectrum(X, weights).loo(Y, 3.0, groups)
    for group in np.unique(groups):
        out = groups == group
        refit = Ridge(3.0, solver="cholesky").fit(X[~out], Y[~out], sample_weight=weights[~out])
        np.testing.assert_allclose(found[out], refit.predict(X[out]), atol=1e-8)


def test_a_weight_of_two_is_a_row_that_stands_there_twice() -> None:
    X, Y = problem(30, 40)
    weights = np.random.default_rng(3).integers(1, 4, 40)
    rows = np.repeat(np.arange(40), weights)
    weighted = Spectrum(X, weights.astype(float)).loo(Y, 2.0)
    np.testing.assert_allclose(Spectrum(X[rows]).loo(Y[rows], 2.0, rows), weighted[rows])


@pytest.mark.parametrize("n_features", [30, 400])
@pytest.mark.parametrize("has_weights", [False, True])
def test_a_gram_matrix_does_all_that_features_do(n_features: int, has_weights: bool) -> None:
    """Of rows far from 0; new rows need nothing but their products with the fitted ones."""
    X, Y = problem(n_features)
    X += 5
    weights = np.random.default_rng(3).uniform(0, 2, N_ITEMS).round(1) if has_weights else None
    train = slice(0, 100)
    w = None if weights is None else weights[train]
    features = Spectrum(X[train], w)
    gram = Spectrum.of_gram(X[train] @ X[train].T, n_features, w)
    assert features.mean_variance == pytest.approx(gram.mean_variance)
    np.testing.assert_allclose(gram.loo(Y[train], 3.0), features.loo(Y[train], 3.0), atol=1e-8)
    expected = X[100:] @ features.solve(Y[train], 3.0).coef.T
    expected = expected + features.solve(Y[train], 3.0).intercept
    for spectrum in (features, gram):
        solution = spectrum.solve_dual(Y[train], 3.0)
        scores = X[100:] @ X[train].T @ solution.dual + solution.intercept
        np.testing.assert_allclose(scores, expected, atol=1e-8)


def test_a_gram_matrix_may_be_centred_already() -> None:
    X, Y = problem(300)
    centred = X - X.mean(0)
    found = Spectrum.of_gram(centred @ centred.T, 300).loo(Y, 3.0)
    np.testing.assert_allclose(found, Spectrum(X).loo(Y, 3.0), atol=1e-9)


def test_without_centring_there_is_no_intercept() -> None:
    """Reference: scikit-learn's `RidgeCV(fit_intercept=False)`."""
    X, Y = problem(400)
    reference = RidgeCV(ALPHAS, fit_intercept=False, store_cv_results=True).fit(X, Y)
    found = Spectrum(X, is_centred=False).loo(Y, ALPHAS[1])
    np.testing.assert_allclose((found - Y) ** 2, reference.cv_results_[..., 1], atol=1e-8)
    solution = Spectrum(X, is_centred=False).solve(Y, 3.0)
    np.testing.assert_allclose(
        solution.coef, Ridge(3.0, fit_intercept=False, solver="svd").fit(X, Y).coef_, atol=1e-9
    )
    np.testing.assert_array_equal(solution.intercept, 0)


def test_a_gram_matrix_alone_gives_no_map_of_features() -> None:
    X, Y = problem(5)
    with pytest.raises(UsageError, match="solve_dual"):
        Spectrum.of_gram(X @ X.T, 5).solve(Y, 1.0)
    with pytest.raises(ShapeError, match=r"\(150, 5\)"):
        Spectrum.of_gram(X, 5)


def test_weights_and_groups_that_do_not_fit_are_refused() -> None:
    X, Y = problem(5)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        Spectrum(X, np.ones(3))
    with pytest.raises(UsageError, match="1 of 150 weights are positive"):
        Spectrum(X, np.eye(N_ITEMS)[0])
    with pytest.raises(UsageError, match=r"-1\.0"):
        Spectrum(X, -np.ones(N_ITEMS))
    with pytest.raises(ShapeError, match=r"\(4,\)"):
        Spectrum(X).loo(Y, 1.0, np.arange(4))
    weights = np.zeros(N_ITEMS)
    weights[:3] = 1
    with pytest.raises(UsageError, match="all 3 rows"):
        Spectrum(X, weights).loo(Y, 1.0, weights)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6])
@pytest.mark.parametrize("n_features", [3, 60])
def test_equal_rows_differ_in_no_direction(value: float, n_features: int) -> None:
    """Whatever rounding leaves of them when their mean is taken away."""
    X = np.full((29, n_features), value)
    assert Spectrum(X).rank == 0
    assert Spectrum.of_gram(X @ X.T, n_features).rank == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_its_row(bad: float) -> None:
    X = problem(4)[0]
    X[7, 2] = bad
    with pytest.raises(DataError, match="X holds NaN or infinity in row 7"):
        Spectrum(X)
    with pytest.raises(DataError, match="K holds NaN or infinity"):
        Spectrum.of_gram(X @ X.T, 4)
