from __future__ import annotations

import pytest

from cutpoint.metrics import wilson


def test_wilson_equals_a_published_example() -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3: 81/263, 15/148, 0/20."""
    for n_right, n_items, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        found = wilson(n_right, n_items)
        assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_an_interval_prints_its_bounds() -> None:
    assert str(wilson(295, 300)) == "0.983 [0.962, 0.993]"


@pytest.mark.parametrize("n_right", [0, 5, 10])
def test_the_bounds_hold_the_estimate(n_right: int) -> None:
    found = wilson(n_right, 10)
    assert 0 <= found.low <= found.value <= found.high <= 1
