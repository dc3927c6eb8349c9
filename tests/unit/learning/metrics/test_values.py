from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from cutpoint.learning.metrics import conformal_margin, score_values


def drawn(n: int = 200, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = 1e6 + random.normal(size=n)  # a large mean must not cost the variance its digits
    return truth + random.normal(0, noise, n), truth


def test_figures_are_those_of_scikit_learn() -> None:
    values, truth = drawn()
    found = score_values(values, truth)
    assert found.r2.value == pytest.approx(r2_score(truth, values), abs=1e-9)
    assert found.mae.value == pytest.approx(mean_absolute_error(truth, values))
    assert found.rmse.value == pytest.approx(root_mean_squared_error(truth, values))


def test_intervals_are_near_those_of_scipy() -> None:
    values, truth = drawn()
    found = score_values(values, truth)
    for ours, statistic in ((found.r2, r2_score), (found.rmse, root_mean_squared_error)):
        theirs = scipy_bootstrap(
            (truth, values), statistic, paired=True, vectorized=False, n_resamples=2000,
            method="percentile", rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        width = theirs.high - theirs.low
        assert abs(ours.low - theirs.low) < 0.1 * width
        assert abs(ours.high - theirs.high) < 0.1 * width


def test_two_items_have_an_interval_though_draws_may_be_alike() -> None:
    found = score_values(np.array([0.1, 0.9]), np.array([0.0, 1.0]))
    assert found.r2.low <= found.r2.value <= found.r2.high
    assert np.isfinite([found.r2.low, found.r2.high]).all()


def test_the_margin_is_the_ninth_of_ten_and_few_rows_have_none() -> None:
    assert conformal_margin(np.arange(1.0, 10.0)) == 9.0  # ⌈0.9 · 10⌉ = 9
    assert conformal_margin(np.arange(1.0, 9.0)) is None
    assert conformal_margin(np.array([*range(1, 20), np.nan], float)) == 18.0


def test_the_margin_covers_nine_tenths_of_new_errors() -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(300):
        margin = conformal_margin(np.abs(random.normal(size=50)))
        assert margin is not None
        held.append((np.abs(random.normal(size=50)) <= margin).mean())
    assert 0.89 < np.mean(held) < 0.92
