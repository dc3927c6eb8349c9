"""Every kind of network: the same verbs give the framework's own numbers.

Tolerance, if not said otherwise: 1e-5 of the largest magnitude of a tap.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import cutpoint as cp
from cutpoint.base.errors import CutpointError, ShapeError, TapNotFound, UsageError, WeightsError
from cutpoint.base.spec import TapSpec
from cutpoint.networks import frameworks
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import checked_engine, preferred_engine
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling import NUMPY, apply_pool, pooled_shape, pools_of, space_axes
from tests.conformance import networks
from tests.conformance.networks import SIDE, Case, Made
from tests.conftest import fed

BATCH = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)
BY_FRAMEWORK: dict[str, list[Case]] = {
    found.name: importlib.import_module(f"{networks.__name__}.{found.name}").CASES
    for found in pkgutil.iter_modules(networks.__path__)
}
CASES = [case for cases in BY_FRAMEWORK.values() for case in cases]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Made]:
    """Return a maker that makes each case once."""
    done: dict[str, Made] = {}

    def get(case: Case) -> Made:
        if case.name not in done:
            done[case.name] = case.make(tmp_path_factory.mktemp(case.name))
        return done[case.name]

    return get


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def made(case: Case, make: Callable[[Case], Made]) -> Made:
    return make(case)


def tappable(backbone: Backbone) -> list[Layer]:
    return [row for row in backbone.layers() if row.tappable]


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 1e-3, "a reference of zeros proves nothing"
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_every_framework_has_cases() -> None:
    folders = {found.name for found in pkgutil.iter_modules(frameworks.__path__) if found.ispkg}
    assert {name for name, cases in BY_FRAMEWORK.items() if cases} == folders


def test_every_tap_gives_what_the_framework_gives(made: Made) -> None:
    rows = tappable(made.backbone)
    assert len(rows) >= 3
    found = made.backbone.cut(*(row.name for row in rows), pool="none")(BATCH)
    for row in rows:
        features = found[f"{row.name}/none"]
        assert features.dtype == np.float32
        close(features, made.reference(row.name, BATCH))
        assert row.shape[1:] == features.shape[1:]
        assert len(row.layout) in (0, len(row.shape))


def test_the_table_is_in_order_and_found_again(made: Made) -> None:
    table = made.backbone.layers()
    assert [row.index for row in table] == list(range(len(table)))
    assert made.backbone.get_layer(index=-1) == table.rows[-1]
    for row in table:
        assert made.backbone.get_layer(index=row.index) == row
    deepest = max(table, key=lambda row: row.macs)
    assert 0 < deepest.macs < 10_000_000
    assert all(row.params >= 0 and row.macs >= 0 for row in table)
    with pytest.raises(UsageError):
        made.backbone.get_layer()
    with pytest.raises(TapNotFound, match="Nearest"):
        made.backbone.get_layer("no_such_layer")


def test_a_network_that_was_changed_is_told_and_what_to_type_then_works(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = case.make(tmp_path).backbone
    tap = tappable(backbone)[-1].name
    before = backbone.feature_spec([tap])
    change_one_weight(backbone.network)
    for ask in (backbone.feature_spec, lambda: backbone.cut(tap)):
        with pytest.raises(WeightsError, match="no longer holds the weights") as caught:
            ask()
    names = {"cp": cp, "onnx": onnx, "backbone": backbone}
    exec(caught.value.type_next.removeprefix("Type:  "), names)
    anew = names["backbone"]
    is_undone = hasattr(backbone.network, "graph_def")  # no source reads a bare graph
    assert (anew.feature_spec([tap]).fingerprint() == before.fingerprint()) == is_undone
    changed, found = (each.cut(tap)(BATCH) for each in (backbone_as_it_is(backbone), anew))
    for name, rows in found.items():
        assert np.allclose(rows, changed[name], atol=1e-5) != is_undone


def change_one_weight(network: Any) -> None:
    """Add one to a weight of the first layer, by the framework's own means."""
    if isinstance(network, onnx.ModelProto):
        tensor = network.graph.initializer[0]
        values = onnx.numpy_helper.to_array(tensor) + 1
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    elif hasattr(network, "graph_def"):
        import tensorflow as tf

        node = next(node for node in network.graph_def.node if node.op == "Const")
        values = tf.make_ndarray(node.attr["value"].tensor) + 1
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    elif hasattr(network, "get_weights"):
        network.weights[0].assign(network.get_weights()[0] + 1)
    else:
        next(network.parameters()).data += 1


def backbone_as_it_is(backbone: Backbone) -> Backbone:
    """Return a backbone that takes the network for what its spec names."""
    network, framework = backbone.network, backbone._held.framework
    return Backbone(backbone.spec, lambda: network, lambda: framework)


def test_strides_are_those_of_the_maps(made: Made) -> None:
    """The networks halve with "same" borders or lose less than a pixel in eight."""
    for row in made.backbone.layers().maps():
        height = row.shape[row.layout.index("H")]
        assert row.stride in (1, 2, 4, 8, 16)
        assert 0.8 < row.stride * height / SIDE < 1.25


MAP_POOLS = ["gap", "gmp", "gem", "gem(2)", "sgem", "rmac", "h2t(64)", "flatten", "gram", "none"]
ADAPTIVE = "spp(1,3,max,adaptive)"  # of many small bins, so at one map alone
FINE_POOLS = ["spp", "spp(max)", "spp(1,3)", "grid(2)"]  # on maps of 4 × 4 places or more
TOKEN_POOLS = ["gap", "gmp", "sgem", "cls", "mean", "cls+mean", "h2t(64)", "flatten", "gram"]
TOKEN_POOLS += ["last", "st", "weightedmean"]


def pooled_taps(backbone: Backbone) -> list[TapSpec]:
    """Every pool at every layer that gives maps, and at the last that gives tokens."""
    found = []
    tokens = [row for row in tappable(backbone) if {"T", "C"} <= set(row.layout)]
    for row in [*backbone.layers().maps(), *tokens[-1:]]:
        if "H" in row.layout:
            is_fine = min(row.shape[axis] for axis in space_axes(row.layout)) >= 4
            found += [TapSpec(row.name, pool) for pool in MAP_POOLS + FINE_POOLS * is_fine]
        else:
            found += [TapSpec(row.name, pool) for pool in TOKEN_POOLS]
    deepest = backbone.layers().maps()[-1:]
    return found + [TapSpec(row.name, ADAPTIVE) for row in deepest]


def test_pools_in_the_graph_equal_numpy_pools_of_the_reference(made: Made) -> None:
    taps = pooled_taps(made.backbone)
    found = made.backbone.cut_at(taps)(BATCH)
    assert list(found) == [tap.name for tap in taps]
    assert {"spp", "rmac", "sgem"} <= {tap.pool for tap in taps}
    names = {tap.layer for tap in taps}
    truths = {name: made.reference(name, BATCH).astype(np.float64) for name in names}
    table = made.backbone.layers()
    for tap in taps:
        row, truth = table[tap.layer], truths[tap.layer]
        # A root of what is left when positive and negative powers cancel magnifies rounding.
        tolerance = 1e-4 if tap.pool == "sgem" else 1e-5
        close(found[tap.name], apply_pool(tap.pool, truth, row.layout, NUMPY), tolerance)
        assert found[tap.name].shape[1:] == pooled_shape(row, tap.pool)


def test_openvino_gives_the_same_pools(made: Made) -> None:
    """With whole maps of all layers too: two taps that are one tensor once ended the process."""
    cut = made.backbone.cut_at(pooled_taps(made.backbone))
    if "openvino" not in cut.converts_to:
        assert cut.why_native
        return
    checked = checked_engine(cut, "openvino", 1, fed(BATCH))
    assert checked.engine.name == "openvino", checked.refused
    expected = cut(BATCH[:3])
    for name, rows in checked.engine.session()(fed(BATCH[:3])).items():
        close(rows, expected[name], 1e-4)


def test_auto_pools_fit_every_layer(made: Made) -> None:
    for row in tappable(made.backbone):
        assert pools_of(row, "auto")


def test_an_item_does_not_depend_on_its_batch_mates(made: Made) -> None:
    cut = made.backbone.cut(pool="auto")
    together = cut(BATCH)
    for place in range(len(BATCH)):
        alone = cut(BATCH[place : place + 1])
        for name, rows in together.items():
            assert np.abs(alone[name][0] - rows[place]).max() <= 1e-5 * max(1, np.abs(rows).max())
    for name, rows in cut(BATCH[::-1].copy()).items():
        assert np.abs(rows[::-1] - together[name]).max() <= 1e-5 * max(1, np.abs(rows).max())


def test_frozen_is_proved(made: Made) -> None:
    before = {name: values.copy() for name, values in made.weights().items()}
    cut = made.backbone.cut(pool="auto")
    digest = cut.state_sha256()
    first = cut(BATCH)
    cut(BATCH[:2])
    again = cut(BATCH)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert cut.state_sha256() == digest
    after = made.weights()
    assert before.keys() == after.keys()
    assert before
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_two_cuts_of_one_network_run_in_two_threads(made: Made) -> None:
    rows = tappable(made.backbone)
    cuts = [made.backbone.cut(row.name, pool="none") for row in (rows[0], rows[-1])]
    expected = [cut(BATCH) for cut in cuts]

    def again(place: int) -> bool:
        fresh = made.backbone.cut(rows[(0, -1)[place]].name, pool="none")
        for cut in (cuts[place], fresh) * 3:
            for name, features in cut(BATCH).items():
                if not np.allclose(features, expected[place][name], rtol=1e-5, atol=1e-5):
                    return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(again, [0, 1, 0, 1]))


def test_a_batch_of_another_shape_is_refused(made: Made) -> None:
    cut = made.backbone.cut(pool="auto")
    for wrong in (BATCH[:, :-1], BATCH.astype(np.float32), BATCH[:0]):
        with pytest.raises(ShapeError, match="is not what this cut takes"):
            cut(wrong)


def test_features_differ_between_items_and_are_finite(made: Made) -> None:
    for name, rows in made.backbone.cut(pool="none")(BATCH).items():
        assert np.isfinite(rows).all(), name
        assert not np.array_equal(rows[0], rows[1]), name


def test_openvino_passes_the_gate_or_the_cut_says_why_not(made: Made) -> None:
    cut = made.backbone.cut(pool=["auto"])
    name, note = preferred_engine("auto", cut)
    if name == "native":
        assert cut.why_native in note
        assert cut.why_native
        return
    checked = checked_engine(cut, name, 1, fed(BATCH))
    assert checked.engine.name == "openvino", checked.refused
    assert checked.parity.passes
    run = checked.engine.session()
    for rows, expected in zip(run(fed(BATCH[:3])).values(), cut(BATCH[:3]).values(), strict=True):
        close(rows, expected, 1e-4)


def test_a_pyramid_has_the_strides_asked_for(case: Case, made: Made) -> None:
    pyramid = made.backbone.pyramid(case.strides)
    assert pyramid.strides == case.strides
    maps = pyramid(BATCH)
    for level, found in zip(pyramid.levels, maps, strict=True):
        close(found, made.reference(level.name, BATCH))
        assert found.shape[level.layout.index("C")] == level.channels
    with pytest.raises(TapNotFound, match="Its maps have strides "):
        made.backbone.pyramid((3,))


@pytest.mark.parametrize("case", [each for each in CASES if each.unstated], ids=lambda c: c.name)
def test_unknown_preprocessing_is_asked_for(case: Case, tmp_path: Path) -> None:
    assert case.unstated is not None
    with pytest.raises(CutpointError, match="preprocess='imagenet'"):
        case.unstated(tmp_path)
