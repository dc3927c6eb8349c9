"""GeM on values below zero says so, once a tap."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cutpoint.networks.pooling import SignedActivationWarning, warn_if_signed
from cutpoint.networks.pooling import signed as module

NEGATIVE = np.array([[[[-0.1, 2.0]]]])


@pytest.mark.parametrize(("pool", "instead"), [("gem", "sgem"), ("gem(4)", "sgem(4)")])
def test_it_names_the_tap_and_the_pool_that_would_do(pool: str, instead: str) -> None:
    with pytest.warns(SignedActivationWarning, match="blocks.3/gem") as caught:
        assert warn_if_signed(f"blocks.3/{pool}", NEGATIVE)
    assert f"{instead} keeps them" in str(caught[0].message)
    assert caught[0].filename == __file__  # whoever pooled


@pytest.mark.parametrize("tap", ["a/gap", "a/sgem", "a/none", "gem/gmp"])
def test_other_pools_are_passed_over(tap: str) -> None:
    assert not warn_if_signed(tap, NEGATIVE)


def test_values_from_zero_on_are_fine() -> None:
    assert not warn_if_signed("a/gem", np.array([[[[0.0, 2.0]]]]))


def test_each_tap_is_named_once() -> None:
    module.__dict__.pop("__warningregistry__", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for tap in ("a/gem", "b/gem", "a/gem"):
            warn_if_signed(tap, NEGATIVE)
    assert [str(each.message).partition(":")[0] for each in caught] == ["a/gem", "b/gem"]
