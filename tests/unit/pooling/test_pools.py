"""Pools against the published definitions, written out directly; NumPy and torch alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cutpoint.errors import UsageError
from cutpoint.pooling import canonical_pool, parse_pool, pool_none

MAPS = np.random.default_rng(0).normal(size=(5, 7, 6, 4)).astype(np.float32)


def by_definition(name: str, maps: np.ndarray) -> np.ndarray:
    n_items, channels = maps.shape[:2]
    out = np.empty((n_items, channels))
    for item in range(n_items):
        for channel in range(channels):
            values = maps[item, channel].astype(np.float64).ravel()
            if name == "gap":
                out[item, channel] = values.sum() / values.size
            elif name == "gmp":
                out[item, channel] = sorted(values)[-1]
            else:
                p = float(name[4:-1]) if "(" in name else 3.0
                raised = [max(value, 1e-6) ** p for value in values]
                out[item, channel] = (sum(raised) / len(raised)) ** (1 / p)
    return out


@pytest.mark.parametrize("name", ["gap", "gmp", "gem", "gem(1)", "gem(4.5)"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_pool_equals_its_definition(name: str, kind: str) -> None:
    """Tolerance 1e-6 relative to the largest value (float32 in, float64 reference)."""
    if kind == "torch":
        import torch

        from cutpoint.frameworks.torch.ops import TORCH

        found = parse_pool(name)(torch.from_numpy(MAPS), "NCHW", TORCH).numpy()
    else:
        found = parse_pool(name)(MAPS)
    expected = by_definition(name, MAPS)
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max() + 1e-7


def test_no_pooling_returns_a_copy() -> None:
    maps = MAPS.copy()
    kept = pool_none(maps)
    maps[:] = 0
    np.testing.assert_array_equal(kept, MAPS)


@given(arrays(np.float32, (2, 3, 4, 4), elements=st.floats(0.0078125, 100, width=32)))
def test_gem_lies_between_mean_and_maximum(maps: np.ndarray) -> None:
    low, high = parse_pool("gap")(maps), parse_pool("gmp")(maps)
    found = parse_pool("gem")(maps)
    assert (found >= low * (1 - 1e-4)).all()
    assert (found <= high * (1 + 1e-4)).all()


@pytest.mark.parametrize(
    ("typed", "spelled"), [("gem(3)", "gem"), ("gem(4.50)", "gem(4.5)"), ("gap", "gap")]
)
def test_each_pool_has_one_spelling(typed: str, spelled: str) -> None:
    assert canonical_pool(typed) == spelled


@pytest.mark.parametrize("name", ["avg", "gem(0)", "gem(-1)", "gem()", ""])
def test_an_unknown_pool_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="Pools: gap, gmp, gem"):
        parse_pool(name)
