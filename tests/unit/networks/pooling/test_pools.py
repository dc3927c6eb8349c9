"""Pools against the published definitions, written out directly; in every framework alike."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cutpoint.networks import pooling
from cutpoint.networks.frameworks.torch.ops import TORCH
from cutpoint.networks.pooling import (
    POOLS,
    parse_pool,
    pool_cls_mean,
    pool_mean,
    pool_sgem,
    pool_spp,
)
from cutpoint.networks.pooling.bins import edges
from cutpoint.networks.pooling.rmac import rmac_regions
from tests.unit.networks.pooling.definitions import (
    CASES,
    FRAMEWORKS,
    MAP_POOLS,
    TOKEN_POOLS,
    by_definition,
    drawn,
    in_onnx,
)


def test_every_pool_is_among_the_cases() -> None:
    assert {case.partition("(")[0] for case in MAP_POOLS + TOKEN_POOLS} == set(POOLS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("pool", "layout", "shape"), CASES)
def test_a_pool_equals_its_definition(
    pool: str, layout: str, shape: tuple[int, ...], framework: str
) -> None:
    """Tolerance 1e-6 of the largest value (float32 in, float64 reference)."""
    activation = drawn(shape)
    found = FRAMEWORKS[framework](pool, activation, layout)
    expected = by_definition(pool, activation, layout)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0.1, "a reference of zeros proves nothing"
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


# Slice takes inputs from 10 on, Clip from 11, reductions from 18; 7 is the oldest that is cut.
@pytest.mark.parametrize("opset", [7, 9, 10, 11, 18, 21])
@pytest.mark.parametrize("pool", ["spp", "spp(1,3,adaptive)", "rmac", "sgem", "grid(3)", "h2t(40)"])
def test_onnx_pools_are_written_in_the_networks_own_opset(pool: str, opset: int) -> None:
    """Tolerance as above; runtimes of the old reductions sum in another order."""
    activation = drawn((3, 5, 8, 8))
    found = in_onnx(pool, activation, "NCHW", opset=opset)
    expected = by_definition(pool, activation, "NCHW")
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("pool", "layout", "shape"), CASES)
def test_what_happens_to_the_activation_later_does_not_reach_the_features(
    pool: str, layout: str, shape: tuple[int, ...]
) -> None:
    activation = torch.from_numpy(drawn(shape))
    found = parse_pool(pool)(activation, layout, TORCH)
    kept = found.clone()
    activation.zero_()
    assert torch.equal(found, kept)
    assert kept.abs().max() > 0


@given(
    st.sampled_from(MAP_POOLS),
    st.integers(3, 9).flatmap(
        lambda height: st.integers(3, 9).flatmap(
            lambda width: arrays(
                np.float32, (4, 2, height, width), elements=st.floats(-100, 100, width=32)
            )
        )
    ),
    st.permutations(range(4)),
)
def test_pools_are_finite_and_items_do_not_know_each_other(
    pool: str, maps: np.ndarray, order: list[int]
) -> None:
    pool = "spp(1,3)" if pool in ("spp", "spp(max)") else pool
    found = parse_pool(pool)(maps, "NCHW")
    assert np.isfinite(found).all()
    assert len(found) == len(maps)
    np.testing.assert_array_equal(parse_pool(pool)(maps[order], "NCHW"), found[order])


@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (2, 4, 2, 3), (2, 4, 5, 7)])
@pytest.mark.parametrize("pool", ["gap", "gmp", "gem", "sgem", "spp(1)", "rmac", "h2t(500)"])
def test_odd_sizes_are_pooled_as_defined(pool: str, shape: tuple[int, ...]) -> None:
    """Tolerance 1e-6 of the largest value."""
    activation = drawn(shape)
    expected = by_definition(pool, activation, "NCHW")
    for run in (FRAMEWORKS["numpy"], FRAMEWORKS["torch"]):
        found = run(pool, activation, "NCHW")
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("how", ["mean", "max"])
def test_pyramids_are_torchs_adaptive_pools_where_the_sides_divide(how: str) -> None:
    """Reference: `torch.nn.functional`; tolerance 1e-6."""
    maps = torch.from_numpy(drawn((2, 3, 8, 12)))
    kind = {"mean": "adaptive_avg_pool2d", "max": "adaptive_max_pool2d"}[how]
    pool = getattr(torch.nn.functional, kind)
    expected = torch.cat([pool(maps, level).flatten(1) for level in (1, 2, 4)], 1)
    np.testing.assert_allclose(pool_spp(maps.numpy(), how=how), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("side", [(1, 1), (2, 3), (5, 7), (7, 7), (8, 12), (13, 6)])
@pytest.mark.parametrize("levels", [(1, 2, 4), (1, 3), (6,)])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_adaptive_pyramids_are_torchs_at_any_side(
    how: str, side: tuple[int, int], levels: tuple[int, ...], framework: str
) -> None:
    """Reference: `torch.nn.functional`, channel by channel; tolerance 1e-6."""
    maps = drawn((2, 3, *side))
    kind = {"mean": "adaptive_avg_pool2d", "max": "adaptive_max_pool2d"}[how]
    pool = getattr(torch.nn.functional, kind)
    parts = [pool(torch.from_numpy(maps), level).flatten(2) for level in levels]
    expected = torch.cat(parts, 2).flatten(1).numpy()
    typed = f"spp({','.join(map(str, levels))}, {how}, adaptive)"
    for layout, activation in (("NCHW", maps), ("NHWC", maps.transpose(0, 2, 3, 1))):
        found = FRAMEWORKS[framework](typed, np.ascontiguousarray(activation), layout)
        np.testing.assert_allclose(found, expected, atol=1e-6)


# Computed by `cirtorch.layers.functional.rmac` (cnnimageretrieval-pytorch at 45c432e) of the maps
# `cosines` gives; a map of 3 × 11, where its rounding chooses between four and five regions.
CIRTORCH = {
    ((7, 7), 3): (7.466987, 7.366847, 7.564617, 7.493355),
    ((6, 9), 3): (10.53824, 10.30264, 11.07341, 9.966152),
    ((9, 5), 2): (4.544192, 4.314454, 4.542318, 4.559362),
    ((3, 11), 3): (13.58711, 14.03471, 10.13874, 10.02662),
}


def cosines(height: int, width: int) -> np.ndarray:
    places = np.arange(4 * height * width, dtype=np.float64)
    return np.cos(places**2 / 7).reshape(1, 4, height, width).astype(np.float32)


@pytest.mark.parametrize(("case", "expected"), CIRTORCH.items())
def test_rmac_is_the_reference_codes(
    case: tuple[tuple[int, int], int], expected: tuple[float, ...]
) -> None:
    """Tolerance 1e-5, as the reference adds its ε to a length where here it bounds it."""
    size, n_scales = case
    found = parse_pool(f"rmac({n_scales})")(cosines(*size), "NCHW")
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


# Computed by `cirtorch.layers.functional.gem`, at the same commit, of the same maps.
CIRTORCH_GEM = {
    ((7, 7), "gem"): (0.6437961, 0.5891817, 0.6031903, 0.5318831),
    ((6, 9), "gem"): (0.6347036, 0.5861946, 0.5889916, 0.5298581),
    ((5, 4), "gem(2.5)"): (0.5433062, 0.6138098, 0.5980057, 0.5894653),
}


@pytest.mark.parametrize(("case", "expected"), CIRTORCH_GEM.items())
def test_gem_is_the_reference_codes(
    case: tuple[tuple[int, int], str], expected: tuple[float, ...]
) -> None:
    """Tolerance 1e-5."""
    size, pool = case
    np.testing.assert_allclose(parse_pool(pool)(cosines(*size), "NCHW")[0], expected, rtol=1e-5)


def test_a_map_of_zeros_stays_zero_under_rmac() -> None:
    assert (parse_pool("rmac")(np.zeros((1, 3, 5, 5), np.float32)) == 0).all()


def test_regions_of_the_third_scale_overlap_by_half_their_side() -> None:
    regions = rmac_regions(12, 12)
    assert len(regions) == 1 + 1 + 4 + 9
    assert regions[-9:-6] == [(0, 6, 0, 6), (0, 6, 3, 9), (0, 6, 6, 12)]


@given(st.integers(1, 300), st.integers(1, 300))
def test_bins_partition_the_side(size: int, n_bins: int) -> None:
    n_bins = min(size, n_bins)
    found = edges(size, n_bins)
    assert [place for start, stop in found for place in range(start, stop)] == list(range(size))
    assert {stop - start for start, stop in found} <= {size // n_bins, -(-size // n_bins)}


@pytest.mark.parametrize("layout", ["NTC", "NCT"])
def test_masked_tokens_do_not_enter_the_mean(layout: str) -> None:
    """Tolerance 1e-6; the first item keeps two tokens, the second all, the third none."""
    tokens = drawn((3, 5, 4))
    mask = np.array([[1, 1, 0, 0, 0], [1] * 5, [0] * 5], np.float32)
    given_ = tokens if layout == "NTC" else tokens.transpose(0, 2, 1)
    found = pool_mean(given_, layout, mask=mask)
    expected = [tokens[0, :2].mean(0), tokens[1].mean(0), np.zeros(4)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    both = pool_cls_mean(given_, layout, mask=mask)
    np.testing.assert_array_equal(both, np.hstack([tokens[:, 0], found]))
    in_torch = pool_mean(torch.from_numpy(given_), layout, TORCH, torch.from_numpy(mask))
    np.testing.assert_allclose(in_torch.numpy(), expected, atol=1e-6)


@given(arrays(np.float32, (2, 3, 4, 4), elements=st.floats(0.0078125, 100, width=32)))
def test_gem_lies_between_mean_and_maximum(maps: np.ndarray) -> None:
    low, high = parse_pool("gap")(maps), parse_pool("gmp")(maps)
    found = parse_pool("gem")(maps)
    assert (found >= low * (1 - 1e-4)).all()
    assert (found <= high * (1 + 1e-4)).all()


@given(arrays(np.float32, (2, 3, 4, 4), elements=st.floats(-100, 100, width=32)))
def test_sgem_is_odd(maps: np.ndarray) -> None:
    np.testing.assert_allclose(pool_sgem(-maps), -pool_sgem(maps), atol=1e-6)


def test_sgem_is_gem_where_nothing_is_negative() -> None:
    maps = np.abs(drawn((2, 3, 5, 5)))
    np.testing.assert_allclose(pool_sgem(maps), parse_pool("gem")(maps), rtol=1e-5)


def test_docstring_examples_run() -> None:
    ran = 0
    for found in pkgutil.iter_modules(pooling.__path__):
        module = importlib.import_module(f"{pooling.__name__}.{found.name}")
        failed, attempted = doctest.testmod(module)
        assert failed == 0, found.name
        ran += attempted
    assert ran >= 35  # one example or more a pool
