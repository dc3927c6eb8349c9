from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest

from cutpoint.base.errors import UsageError
from cutpoint.learning.metrics import wilson


@pytest.mark.parametrize(("n_right", "n_items"), [(81, 263), (15, 148), (0, 20), (20, 20)])
def test_wilson_equals_its_formula(n_right: int, n_items: int) -> None:
    """Wilson 1927, written out; the first two are the examples of Newcombe 1998 for method 3."""
    z = NormalDist().inv_cdf(0.975)
    share = n_right / n_items
    middle = 2 * n_right + z**2
    half = z * math.sqrt(z**2 + 4 * n_items * share * (1 - share))
    found = wilson(n_right, n_items)
    assert found.low == pytest.approx((middle - half) / (2 * (n_items + z**2)), abs=1e-12)
    assert found.high == pytest.approx((middle + half) / (2 * (n_items + z**2)), abs=1e-12)


def test_an_interval_prints_its_bounds() -> None:
    assert str(wilson(295, 300)) == "0.983 [0.962, 0.993]"


@pytest.mark.parametrize("n_right", [0, 5, 10])
def test_the_bounds_hold_the_estimate(n_right: int) -> None:
    found = wilson(n_right, 10)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(("n_right", "n_items"), [(3, 0), (0, 0), (4, 3), (-1, 3)])
def test_proportions_of_nothing_are_refused(n_right: int, n_items: int) -> None:
    with pytest.raises(UsageError, match=f"{n_right} of {n_items} items"):
        wilson(n_right, n_items)


def test_less_confidence_is_a_narrower_interval() -> None:
    """Reference: the same formula with the quantile of 80 %."""
    z, n_items = NormalDist().inv_cdf(0.9), 50
    found = wilson(20, n_items, confidence=0.8)
    half = z * math.sqrt(z**2 + 4 * n_items * 0.4 * 0.6) / (2 * (n_items + z**2))
    assert found.high - found.low == pytest.approx(2 * half)
    assert found.value == 0.4
    assert wilson(20, n_items) == wilson(20, n_items, confidence=0.95)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 95])
def test_certainty_and_percents_are_no_confidence(confidence: float) -> None:
    with pytest.raises(UsageError, match=f"with confidence {confidence}"):
        wilson(5, 10, confidence)


def test_one_item_is_enough() -> None:
    assert wilson(1, 1).value == 1.0
    assert wilson(0, 1).value == 0.0


@pytest.mark.parametrize(("n_right", "n_items"), [(0.9, 10), ("1", 10), (1, "10"), (1, None)])
def test_counts_that_are_no_whole_numbers_have_no_interval(n_right: Any, n_items: Any) -> None:
    with pytest.raises(UsageError, match="no interval of Wilson"):
        wilson(n_right, n_items)
