"""Cuts of graphs: truncated, frozen, the same for one item as for many."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import ArraySpec, BackboneSpec, TapSpec
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.engines import compare
from cutpoint.networks.pooling import pool_gap, pool_gem, pool_gmp

tf = pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")

from cutpoint.networks.frameworks import tfgraph  # noqa: E402
from cutpoint.networks.sources.savedmodel import load  # noqa: E402
from tests.conformance.networks import SIDE  # noqa: E402
from tests.conformance.networks.tfgraph import (  # noqa: E402
    constants,
    tiny_reference,
    write_saved_model,
)
from tests.conftest import fed  # noqa: E402
from tests.unit.networks.frameworks.test_tfgraph_layers import network_of  # noqa: E402


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = write_saved_model(tmp_path_factory.mktemp("network"))
    return load(str(folder), LoadOptions("tf", trust_weights=True))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)


def cut_of(build: Any, item: tuple[int, ...], layer: str, n_items: int | None) -> Any:
    network, preprocess = network_of(build, item, n_items), ArraySpec(item)
    table = tfgraph.list_layers(network, preprocess, "test")
    spec = BackboneSpec("test", "test", "array", "", preprocess)
    return tfgraph.make_cut(network, spec, [TapSpec(layer, "none")], table)


def test_pools_are_those_of_numpy(backbone: Backbone, images: np.ndarray) -> None:
    found = backbone.cut("relu1", pool=["gap", "gmp", "gem"])(images)
    activation = tiny_reference("relu1", images)
    pools = {"gap": pool_gap, "gmp": pool_gmp, "gem": pool_gem}
    for name, pool in pools.items():
        expected = pool(activation, "NHWC")
        assert found[f"relu1/{name}"].dtype == np.float32
        np.testing.assert_allclose(found[f"relu1/{name}"], expected, rtol=1e-5, atol=1e-6)


def test_nothing_after_the_deepest_tap_is_held(backbone: Backbone) -> None:
    # Of the weights, conv1 and its bias are before relu1; conv2 and the dense layer are after.
    shapes = [value.shape for value in held(backbone.cut("relu1", pool="none"))]
    assert (3, 3, 3, 8) in shapes
    assert (3, 3, 8, 16) not in shapes
    assert (16, 5) not in shapes
    assert (3, 3, 8, 16) in [value.shape for value in held(backbone.cut("relu2", pool="none"))]


def held(cut: Any) -> list[np.ndarray]:
    nodes = (node for node in cut.concrete.graph.as_graph_def().node if node.op == "Const")
    return [tf.make_ndarray(node.attr["value"].tensor) for node in nodes]


def test_any_batch_gives_the_same_rows(backbone: Backbone, images: np.ndarray) -> None:
    cut = backbone.cut("relu2", "logits")
    together = cut(images)
    apart = [cut(images[place : place + 1]) for place in range(len(images))]
    for name, rows in together.items():
        np.testing.assert_allclose(rows, np.concatenate([each[name] for each in apart]), atol=1e-5)


def test_threads_share_a_cut(backbone: Backbone, images: np.ndarray) -> None:
    cut = backbone.cut("relu2")
    expected = cut(images)["relu2/gap"]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: cut(images)["relu2/gap"], range(8)))
    assert all(np.array_equal(rows, expected) for rows in found)


def test_openvino_gives_the_same(backbone: Backbone, images: np.ndarray) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from cutpoint.networks.engines.openvino import OpenVINOEngine

    cut = backbone.cut("relu1", "logits", pool="none")
    parity = compare(OpenVINOEngine(cut, 1).session()(fed(images)), cut(images))
    assert parity.relative_error < 1e-5


def test_the_network_is_left_as_it_is(backbone: Backbone, images: np.ndarray) -> None:
    before = backbone.network.graph_def.SerializeToString(deterministic=True)
    backbone.cut("relu1", "logits")(images)
    assert backbone.network.graph_def.SerializeToString(deterministic=True) == before
    assert len(constants(backbone.network)) == 6  # five weights and the axes of the mean


def test_the_digest_tells_cuts_apart(backbone: Backbone) -> None:
    shallow, again = backbone.cut("relu1"), backbone.cut("relu1")
    assert shallow.state_sha256() == again.state_sha256()
    assert shallow.state_sha256() != backbone.cut("relu2").state_sha256()


def test_a_graph_made_for_one_item_is_given_them_one_by_one() -> None:
    def build(x: Any) -> Any:
        flat = tf.reshape(x, (1, 12), name="flat")  # TF.js models of detectors have such sizes
        return tf.matmul(flat, tf.ones((12, 2)), name="sums")

    cut = cut_of(build, (2, 2, 3), "sums", n_items=1)
    batch = np.random.default_rng(0).random((3, 2, 2, 3), np.float32)
    sums = batch.reshape(3, 12).sum(1)
    np.testing.assert_allclose(cut(batch)["sums/none"], np.stack([sums, sums], 1), rtol=1e-6)
    assert cut.converts_to == ()
    assert "one item at a time" in cut.why_native


def test_sizes_for_one_item_that_do_not_show_in_the_taps_shape_count_too() -> None:
    def build(x: Any) -> Any:
        mixed = tf.reshape(x, (1, -1, 4), name="mixed")
        ranked = tf.nn.softmax(mixed, axis=1)  # over all items, if they came together
        return tf.reshape(ranked, (-1, 4), name="rows")

    cut = cut_of(build, (4,), "rows", n_items=1)
    batch = np.random.default_rng(0).random((3, 4), np.float32)
    np.testing.assert_allclose(cut(batch)["rows/none"], np.ones((3, 4)))


def test_a_fixed_batch_without_such_sizes_takes_many() -> None:
    cut = cut_of(lambda x: tf.nn.relu(x, name="r"), (2, 2, 3), "r", n_items=1)
    assert cut.converts_to == ("openvino",)
    assert cut(np.ones((3, 2, 2, 3), np.float32))["r/none"].shape == (3, 2, 2, 3)


def test_no_head_can_be_connected(backbone: Backbone) -> None:
    with pytest.raises(UsageError, match="frozen TensorFlow graph"):
        backbone.symbolic("relu1")


def test_a_folder_that_moves_keeps_its_spec(tmp_path: Path) -> None:
    here = write_saved_model(tmp_path)
    options = LoadOptions("tf", trust_weights=True)
    before = load(str(here), options).spec
    (tmp_path / "elsewhere").mkdir()
    there = here.rename(tmp_path / "elsewhere" / "tiny")
    assert load(str(there), options).spec == before
