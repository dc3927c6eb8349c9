"""Shapes, widths and names, said before anything runs: those the pools then have."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling import (
    feature_names,
    free_rows,
    parse_pool,
    pooled_shape,
    pooled_width,
)
from tests.unit.networks.pooling.definitions import CASES, drawn


def layer_of(layout: str, shape: tuple[int, ...]) -> Layer:
    return Layer(0, "blocks.3", "Block", (None, *shape[1:]), None, 0, 0, layout=layout)


@pytest.mark.parametrize(("pool", "layout", "shape"), CASES)
def test_shape_and_width_are_those_of_the_result(
    pool: str, layout: str, shape: tuple[int, ...]
) -> None:
    layer = layer_of(layout, shape)
    found = parse_pool(pool)(drawn(shape), layout)
    assert pooled_shape(layer, pool) == found.shape[1:]
    assert pooled_width(layer, pool) == found[0].size
    names = feature_names(layer, pool)
    assert len(names) == len(set(names)) == found[0].size
    assert all(name.startswith(f"blocks.3/{pool}[") for name in names)


@pytest.mark.parametrize(
    "pool",
    [
        "gap",
        "gmp",
        "gem",
        "sgem",
        "spp",
        "spp(1,3,max)",
        "spp(adaptive)",
        "h2t(40)",
        "flatten",
        "grid(3)",
        "none",
    ],
)
@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (1, 5, 6, 8)), ("NHWC", (1, 6, 8, 5))])
def test_a_name_begins_with_the_channel_its_feature_is_made_of(
    pool: str, layout: str, shape: tuple[int, ...]
) -> None:
    """One channel at a time is lit: the features that light up are those with its number."""
    names = feature_names(layer_of(layout, shape), pool)
    for channel in range(5):
        maps = np.zeros(shape)
        np.moveaxis(maps, layout.index("C"), 1)[:, channel] = 1.0
        found = parse_pool(pool)(maps, layout).ravel()
        lit = {
            name.partition("[")[2].rstrip("]").split(",")[0]
            for name in np.array(names)[found > 0.5]
        }
        assert lit == {str(channel)}


@pytest.mark.parametrize(
    "pool", ["spp", "spp(1,2,adaptive)", "h2t(100)", "flatten", "grid(4)", "none"]
)
@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (1, 2, 4, 8)), ("NHWC", (1, 4, 8, 2))])
def test_a_name_ends_with_the_place_its_feature_is_made_of(
    pool: str, layout: str, shape: tuple[int, ...]
) -> None:
    """The last row and column alone are lit: of the brightest features both numbers are highest."""
    maps = np.zeros(shape)
    np.moveaxis(maps, layout.index("C"), 1)[:, :, -1, -1] = 1.0
    found = parse_pool(pool)(maps, layout).ravel()
    names = np.array(feature_names(layer_of(layout, shape), pool))
    places = [name.rstrip("]").split(",")[-2:] for name in names]
    brightest = {tuple(map(int, places[at])) for at in np.flatnonzero(found == found.max())}
    highest = max((int(row), int(column)) for row, column in places)
    assert brightest == {highest}


def test_class_token_and_mean_and_pairs_of_channels_are_told_apart() -> None:
    tokens = layer_of("NTC", (1, 9, 2))
    assert feature_names(tokens, "cls+mean") == [
        f"blocks.3/cls+mean[{place}]" for place in ("0,cls", "1,cls", "0,mean", "1,mean")
    ]
    assert feature_names(tokens, "gram")[2] == "blocks.3/gram[1,0]"
    assert feature_names(tokens, "flatten")[10] == "blocks.3/flatten[1,1]"
    vector = layer_of("NC", (1, 3))
    assert feature_names(vector, "none") == [f"blocks.3/none[{column}]" for column in range(3)]
    assert feature_names(layer_of("", (1, 2, 2)), "none")[1] == "blocks.3/none[0,1]"


def test_names_take_the_canonical_spelling() -> None:
    assert feature_names(layer_of("NCHW", (1, 2, 4, 4)), "gem(3.0)")[1] == "blocks.3/gem[1]"


TOKENS = Layer(0, "encoder", "Encoder", (None, None, 8), None, 0, 0, layout="NTC")
TIME = Layer(0, "conv", "Conv1d", (None, 8, None), None, 0, 0, layout="NCT")
MAPS = Layer(0, "conv", "Conv", (None, 8, None, None), 4, 0, 0)


@pytest.mark.parametrize("layer", [TOKENS, TIME, MAPS])
def test_a_free_axis_changes_no_width_of_a_pool_that_pools_it(layer: Layer) -> None:
    """Of items of either length the pools give what is said before."""
    fixed = [size or 6 for size in layer.shape[1:]], [size or 9 for size in layer.shape[1:]]
    n_asked = 0
    for pool in ("gap", "gmp", "gem", "gram", "cls", "cls+mean", "spp(1,2)", "grid(2)", "rmac"):
        try:
            shape = pooled_shape(layer, pool)
        except ShapeError:
            continue
        n_asked += 1
        found = [parse_pool(pool)(drawn((2, *sizes)), layer.layout) for sizes in fixed]
        assert [each.shape[1:] for each in found] == [shape, shape]
        assert len(feature_names(layer, pool)) == found[0][0].size
    assert n_asked >= 6


@pytest.mark.parametrize("layer", [TOKENS, TIME, MAPS])
@pytest.mark.parametrize("pool", ["flatten", "h2t(16)"])
def test_what_has_no_one_width_on_a_free_axis_is_refused_by_name(layer: Layer, pool: str) -> None:
    name = re.escape(f'Pool "{pool}" gives no one width at layer "{layer.name}"')
    with pytest.raises(ShapeError, match=name) as caught:
        pooled_width(layer, pool)
    assert layer.shape_text in caught.value.got
    assert "?" in layer.shape_text
    suggested = caught.value.type_next.split("'")[1]
    assert pooled_width(layer, suggested) > 0


def test_a_whole_activation_of_a_free_axis_has_no_names() -> None:
    with pytest.raises(ShapeError, match="items differ in length"):
        feature_names(TOKENS, "none")


def test_rows_are_free_along_one_axis_of_what_is_kept_whole() -> None:
    pooled = [(TOKENS, "none"), (TIME, "none"), (TIME, "gap"), (TIME, "grid(2)")]
    assert free_rows(pooled) == {"encoder/none": 0, "conv/none": 1}
    assert free_rows([(layer_of("NCHW", (1, 2, 4, 4)), "none")]) == {}
    with pytest.raises(ShapeError, match="along 2 axes"):
        free_rows([(MAPS, "none")])
