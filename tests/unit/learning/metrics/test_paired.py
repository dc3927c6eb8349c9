"""Tests of differences: against scipy, statsmodels, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import resampling
from scipy.stats import binomtest, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.metrics import corrected_resampled_t, holm, mcnemar


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_a, only_b, neither]
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    return np.repeat(a, counts), np.repeat(b, counts)


@pytest.mark.parametrize("counts", [(50, 9, 3, 8), (100, 1, 0, 0), (7, 20, 20, 3), (0, 0, 6, 0)])
def test_mcnemar_is_exact(counts: tuple[int, int, int, int]) -> None:
    """References: `scipy.stats.binomtest` and statsmodels' `mcnemar(exact=True)`."""
    both, only_a, only_b, neither = counts
    found = mcnemar(*answers(*counts))
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.p_value == pytest.approx(binomtest(only_a, only_a + only_b).pvalue, abs=1e-12)
    table = [[both, only_a], [only_b, neither]]
    assert found.p_value == pytest.approx(statsmodels_mcnemar(table).pvalue, abs=1e-12)


def test_models_that_never_differ_are_not_told_apart() -> None:
    found = mcnemar(*answers(30, 0, 0, 10))
    assert found.p_value == 1.0
    assert str(found).startswith("0 right by the first alone")


def test_answers_that_are_not_right_or_wrong_are_refused() -> None:
    with pytest.raises(ShapeError, match="int64 of shape"):
        mcnemar(np.ones(3, int), np.ones(3, bool))
    with pytest.raises(ShapeError, match="Right or wrong"):
        mcnemar(np.ones(3, bool), np.ones(4, bool))


def test_the_corrected_t_is_scipys_with_a_wider_error() -> None:
    """t = t_plain √((1/J) / (1/J + n_test/n_train)); p of J − 1 degrees of freedom."""
    differences = np.random.default_rng(0).normal(0.01, 0.03, 50)
    plain = ttest_1samp(differences, 0.0)
    found = corrected_resampled_t(differences, 80, 20)
    assert found.t == pytest.approx(plain.statistic * np.sqrt(0.02 / (0.02 + 0.25)), rel=1e-12)
    assert found.difference == pytest.approx(differences.mean())
    nearly_plain = corrected_resampled_t(differences, 10**12, 1)
    assert nearly_plain.p_value == pytest.approx(plain.pvalue, rel=1e-6)
    assert found.p_value > plain.pvalue


def test_folds_that_all_agree_need_no_variance() -> None:
    assert corrected_resampled_t(np.zeros(5), 80, 20).p_value == 1.0
    assert corrected_resampled_t(np.full(5, -0.1), 80, 20).t == -np.inf
    with pytest.raises(UsageError, match="1 differences"):
        corrected_resampled_t([0.1], 80, 20)


def test_equal_models_are_found_different_in_1_to_7_percent_of_runs() -> None:
    """300 runs as in benchmarks/resampling.py; the plain t-test does so in nearly half of them."""
    plain, corrected = resampling.p_values(300)
    assert 0.01 <= (corrected < 0.05).mean() <= 0.07
    assert (plain < 0.05).mean() > 0.3


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    random = np.random.default_rng(seed)
    p_values = np.round(random.random(12) ** 3, 2)  # with ties
    reference = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), reference, rtol=0, atol=1e-12)


def test_p_values_beyond_1_are_refused() -> None:
    with pytest.raises(UsageError, match="not all of them from 0 to 1"):
        holm([0.5, 1.5])
    assert holm([]).tolist() == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(3, bool), np.ones(3, int)),
        (np.ones(3, int), np.ones(3, bool)),
        (np.ones((3, 1), bool), np.ones((3, 1), bool)),
        (np.ones(3, bool), np.ones(2, bool)),
    ],
)
def test_each_way_not_to_be_answers_is_refused_alone(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        mcnemar(a, b)


def test_a_corrected_t_takes_two_folds_of_one_item_and_no_fewer() -> None:
    """By hand: mean 0.2, s² = 0.02, t = 0.2 / √((1/2 + 1) · 0.02); one degree of freedom."""
    found = corrected_resampled_t([0.1, 0.3], 1, 1)
    assert found.t == pytest.approx(0.2 / np.sqrt(1.5 * 0.02))
    assert found.p_value == pytest.approx(2 * (0.5 - np.arctan(found.t) / np.pi))  # Cauchy's
    assert str(found) == f"+0.200, t = {found.t:.2f}, p = {found.p_value:.3g}"
    for n_train, n_test in ((0, 1), (1, 0)):
        with pytest.raises(UsageError, match=f"n_train={n_train}, n_test={n_test}"):
            corrected_resampled_t([0.1, 0.3], n_train, n_test)


def test_folds_that_agree_say_nothing_or_all() -> None:
    nothing = corrected_resampled_t([0.0, 0.0], 80, 20)
    assert (nothing.difference, nothing.t, nothing.p_value) == (0.0, 0.0, 1.0)
    better = corrected_resampled_t([0.25, 0.25], 80, 20)
    assert (better.difference, better.t, better.p_value) == (0.25, np.inf, 0.0)


def test_holm_takes_none_and_certainty_and_nothing_beyond() -> None:
    assert holm([0.0, 1.0]).tolist() == [0.0, 1.0]
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]  # never above 1
    for wrong in ([-0.01, 0.5], [0.5, 1.01], [float("nan")], [[0.5]]):
        with pytest.raises(UsageError, match="Got values of shape"):
            holm(wrong)
