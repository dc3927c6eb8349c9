"""Padding never changes what a pool gives: a padded batch against each item without its padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.ops import NUMPY
from cutpoint.networks.pooling import POOLS, apply_pool, parse_pool, revision_of
from cutpoint.networks.pooling.bins import adaptive_edges, edges
from cutpoint.networks.pooling.masked import bin_masks
from tests.unit.networks.pooling.definitions import FRAMEWORKS, drawn, in_onnx

LENGTHS = (12, 7, 5)
PADDING = 1000.0
NEW = ["last", "st", "weightedmean"]
TOKENS = ["gap", "gmp", "gem", "sgem", "mean", "cls+mean", *NEW, "gram", "h2t(12)"]
TIME = [*TOKENS, "spp(1,2)", "spp(1,3,max)", "spp(1,3,adaptive)", "grid(2)"]
CASES = [(pool, "NTC") for pool in TOKENS] + [(pool, "NCT") for pool in TIME]


def padded(layout: str, padding: float = PADDING) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tokens (3, 12, 4), the same in `layout` with padding, and the mask."""
    tokens = drawn((len(LENGTHS), max(LENGTHS), 4))
    mask = (np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]).astype(np.float32)
    batch = np.where(mask[:, :, None] > 0, tokens, np.float32(padding))
    return tokens, _laid_out(batch, layout), mask


def _laid_out(tokens: np.ndarray, layout: str) -> np.ndarray:
    return np.ascontiguousarray(tokens if layout == "NTC" else tokens.transpose(0, 2, 1))


def test_every_pool_that_has_a_use_for_a_mask_is_among_the_cases() -> None:
    cases = {pool.partition("(")[0] for pool, _ in CASES}
    assert cases == {name for name, kind in POOLS.items() if kind.masked_since}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("pool", "layout"), CASES)
def test_a_padded_batch_gives_what_each_item_gives_alone(
    pool: str, layout: str, framework: str
) -> None:
    """Tolerance 1e-6 of the largest value, against the pool of NumPy without a mask."""
    tokens, batch, mask = padded(layout)
    found = FRAMEWORKS[framework](pool, batch, layout, mask)
    for row, length in enumerate(LENGTHS):
        expected = parse_pool(pool)(_laid_out(tokens[row : row + 1, :length], layout), layout)
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found[row : row + 1], expected, atol=1e-6 * scale)
    counted = FRAMEWORKS[framework](pool, batch, layout)
    assert np.abs(counted - found).max() > 1, "padding would have changed nothing anyway"


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 18, 21])
@pytest.mark.parametrize("pool", ["gmp", "gram", "h2t(12)"])
def test_onnx_leaves_padding_out_in_the_networks_own_opset(pool: str, opset: int) -> None:
    """There is no operator to choose by a mask before opset 9. Tolerance 1e-6."""
    _, batch, mask = padded("NTC")
    found = in_onnx(pool, batch, "NTC", mask, opset)
    expected = parse_pool(pool)(batch, "NTC", mask=mask)
    np.testing.assert_allclose(found, expected, atol=1e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("pool", "layout"), CASES)
def test_padding_may_be_nan(pool: str, layout: str, framework: str) -> None:
    _, batch, mask = padded(layout)
    _, with_nan, _ = padded(layout, np.nan)
    found = FRAMEWORKS[framework](pool, with_nan, layout, mask)
    np.testing.assert_array_equal(found, FRAMEWORKS[framework](pool, batch, layout, mask))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("pool", "layout"), [case for case in CASES if case[0] != "cls+mean"])
def test_an_item_without_any_valid_place_gives_zeros(
    pool: str, layout: str, framework: str
) -> None:
    _, batch, mask = padded(layout)
    found = FRAMEWORKS[framework](pool, batch, layout, np.zeros_like(mask))
    np.testing.assert_allclose(found, np.zeros_like(found), atol=1e-6)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 40))
def test_bins_are_those_of_an_item_of_its_valid_places(valid: list[bool], n_bins: int) -> None:
    """Wherever padding stands: before, behind or between."""
    mask, places = np.array([valid], np.float32), np.flatnonzero(valid)
    for is_adaptive, edges_of in ((False, edges), (True, adaptive_edges)):
        found = bin_masks(mask, NUMPY, n_bins, is_adaptive)
        expected = np.zeros((n_bins, 1, len(valid)), np.float32)
        for number, (start, stop) in enumerate(edges_of(len(places), n_bins)):
            expected[number, 0, places[start:stop]] = 1
        np.testing.assert_array_equal(np.stack(found), expected)


def test_an_item_shorter_than_the_bins_repeats_places() -> None:
    _, batch, mask = padded("NCT")
    short = mask * (np.arange(12) < 2)
    found = parse_pool("grid(4)")(batch, "NCT", mask=short)
    np.testing.assert_allclose(found, batch[:, :, [0, 0, 1, 1]], atol=1e-6)


def test_by_the_first_revision_means_alone_leave_padding_out() -> None:
    """Rows and predictors that are there already must not change."""
    _, batch, mask = padded("NTC")
    for pool in TOKENS:
        found = apply_pool(pool, batch, "NTC", NUMPY, mask, revision=1)
        is_mean = pool in ("gap", "mean", "cls+mean", *NEW)
        expected = parse_pool(pool)(batch, "NTC", **({"mask": mask} if is_mean else {}))
        np.testing.assert_array_equal(found, expected)


def test_only_taps_that_change_and_know_a_mask_have_a_new_revision() -> None:
    assert revision_of(["gap", "cls", "mean", "cls+mean", "none"], is_masked=True) == 1
    assert revision_of(["gap", "gem(4)"], is_masked=True) == 2
    assert revision_of(["gap", "gmp", "gram"], is_masked=False) == 1


def test_pools_without_a_sum_have_no_use_for_a_mask() -> None:
    _, batch, mask = padded("NTC")
    for pool in ("cls", "none", "flatten"):
        np.testing.assert_array_equal(
            apply_pool(pool, batch, "NTC", NUMPY, mask), parse_pool(pool)(batch, "NTC")
        )
