"""Pool names: one spelling each, and errors that say what would do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling import POOLS, canonical_pool, parse_pool, pools_of, read_pool

MAPS = Layer(0, "blocks.3", "Block", (None, 40, 14, 14), 16, 0, 0)
LAST = Layer(0, "stage", "Conv", (None, 3, 3, 64), 32, 0, 0, layout="NHWC")
TOKENS = Layer(0, "blocks.11", "Block", (None, 197, 384), None, 0, 0, layout="NTC")
TIME = Layer(0, "conv", "Conv1d", (None, 64, 100), None, 0, 0, layout="NCT")
VECTOR = Layer(0, "fc", "Linear", (None, 10), None, 0, 0, layout="NC")
VOLUME = Layer(0, "conv3d", "Conv3d", (None, 8, 4, 6, 6), 4, 0, 0, layout="NCDHW")
UNKNOWN = Layer(0, "split", "Split", (None, 4, 5), None, 0, 0, layout="")


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("gap", "gap"),
        ("gem(3)", "gem"),
        ("gem(3.0)", "gem"),
        ("gem(4.50)", "gem(4.5)"),
        ("sgem(3)", "sgem"),
        ("spp(1,2,4)", "spp"),
        ("spp(4, 1, 2)", "spp"),
        ("spp(mean)", "spp"),
        ("spp(1,2,4,max)", "spp(max)"),
        ("spp(3,1,max)", "spp(1,3,max)"),
        ("spp(3,1,mean)", "spp(1,3)"),
        ("spp(1,2,4, adaptive)", "spp(adaptive)"),
        ("spp(3,1,adaptive,max)", "spp(1,3,max,adaptive)"),
        ("rmac(3)", "rmac"),
        ("rmac(5)", "rmac(5)"),
        ("h2t(8192)", "h2t(8192)"),
        ("grid(4)", "grid(4)"),
        ("cls+mean", "cls+mean"),
        ("max", "gmp"),
        ("lasttoken", "last"),
    ],
)
def test_each_pool_has_one_spelling(typed: str, spelled: str) -> None:
    assert canonical_pool(typed) == spelled
    assert canonical_pool(spelled) == spelled
    assert read_pool(typed)[:2] == read_pool(spelled)[:2]


@given(st.sets(st.integers(1, 99), min_size=1, max_size=5), st.sampled_from(["mean", "max"]))
def test_a_pyramid_is_read_back_from_its_spelling(levels: set[int], how: str) -> None:
    text = f"spp({','.join(map(str, levels))},{how})"
    assert read_pool(canonical_pool(text)) == read_pool(text)


@pytest.mark.parametrize(
    "name", ["avg", "", "gap()x", "GAP", "gem(3", "cls+", "mean+cls", "gap (3)", "gem((3))"]
)
def test_an_unknown_pool_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="Pools: gap, gmp, gem") as caught:
        parse_pool(name)
    for kind in POOLS.values():
        assert kind.usage in str(caught.value)
    assert "No pool has that name" in caught.value.got


@pytest.mark.parametrize(
    "name",
    [
        "gap(2)",
        "gem(0)",
        "gem(-1)",
        "gem()",
        "gem(1,2)",
        "gem(1e3)",
        "gem(nan)",
        "spp(0)",
        "spp(2,2)",
        "spp(max,2)",
        "spp(2.5)",
        "spp(adaptive,2)",
        "spp(2,max,mean)",
        "spp(2,adaptive,adaptive)",
        "rmac(0)",
        "rmac(x)",
        "h2t",
        "h2t(0)",
        "grid",
        "grid(2,2)",
        "none(1)",
    ],
)
def test_wrong_arguments_say_how_the_pool_is_typed(name: str) -> None:
    with pytest.raises(UsageError, match="It is typed") as caught:
        canonical_pool(name)
    assert POOLS[name.partition("(")[0]].usage in caught.value.got


def fitting(layer: Layer) -> set[str]:
    found = set()
    for name in POOLS:
        typed = {"h2t": "h2t(64)", "grid": "grid(2)", "spp": "spp(1,2)"}.get(name, name)
        try:
            assert pools_of(layer, typed) == (typed,)
        except ShapeError:
            continue
        found.add(name)
    return found


def test_layers_take_the_pools_they_can() -> None:
    anywhere = {"gap", "gmp", "gem", "sgem", "h2t", "gram", "flatten", "none"}
    assert fitting(MAPS) == fitting(LAST) == anywhere | {"spp", "rmac", "grid"}
    assert fitting(VOLUME) == anywhere | {"spp", "grid"}
    assert fitting(TOKENS) == anywhere | {"cls", "mean", "cls+mean", "last", "st", "weightedmean"}
    assert fitting(TIME) == fitting(TOKENS) | {"spp", "grid"}
    assert fitting(VECTOR) == fitting(UNKNOWN) == {"none"}


def test_a_pool_that_does_not_fit_names_those_that_do() -> None:
    with pytest.raises(ShapeError, match="rmac needs maps of height and width") as caught:
        pools_of(TOKENS, "rmac")
    assert "197×384 (NTC)" in caught.value.got
    assert caught.value.would_do == (
        "Pools that can: gap, gmp, gem, sgem, cls, mean, cls+mean, last, st, weightedmean, h2t, "
        "gram, flatten, none."
    )
    with pytest.raises(ShapeError, match="cls needs tokens"):
        pools_of(MAPS, "cls")


@pytest.mark.parametrize(
    ("layer", "pool", "instead"),
    [
        (LAST, "spp", "spp(1,2)"),
        (LAST, "spp(4)", "spp(3)"),
        (LAST, "spp(max)", "spp(1,2,max)"),
        (LAST, "grid(7)", "grid(3)"),
        (MAPS, "grid(15)", "grid(14)"),
        (VOLUME, "grid(6)", "grid(4)"),
    ],
)
def test_a_grid_finer_than_the_map_is_refused_with_one_that_fits(
    layer: Layer, pool: str, instead: str
) -> None:
    with pytest.raises(ShapeError, match="bins a side") as caught:
        pools_of(layer, pool)
    assert instead in caught.value.type_next
    assert pools_of(layer, instead) == (canonical_pool(instead),)


def test_auto_depends_on_the_layer() -> None:
    assert pools_of(MAPS, "auto") == ("gap", "gmp")
    assert pools_of(TOKENS, "auto") == ("cls", "gap")
    assert pools_of(VECTOR, "auto") == pools_of(UNKNOWN, "auto") == ("none",)


def test_auto_of_time_is_no_first_frame() -> None:
    """Convolutions over a wave have no class token; what is first there is silence, mostly."""
    assert pools_of(TIME, "auto") == ("gap", "gmp")
