"""TF.js graph-models: topology, constants, fused operations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import MissingExtra, UsageError, WeightsError
from cutpoint.base.spec import ArraySpec
from cutpoint.networks.backbone import LoadOptions
from tests.conformance.networks.tfgraph import (
    constant,
    fused,
    text,
    tiny_reference,
    write_graph_model,
)

tf = pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")

from cutpoint.networks.sources.tfjs_graph import load_graph_model, read_graph_model  # noqa: E402

FLOAT = {"T": {"type": "DT_FLOAT"}}


def write_model(folder: Path, nodes: list[dict[str, Any]], **weights: np.ndarray) -> Path:
    """Write a graph-model that takes four numbers an item as ``x``."""
    (folder / "weights").write_bytes(b"".join(value.tobytes() for value in weights.values()))
    manifest = [
        {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        for name, value in weights.items()
    ]
    shape = {"dim": [{"size": "-1"}, {"size": "4"}]}
    source = {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": shape}}
    every = [
        {"name": "x", "op": "Placeholder", "attr": source},
        *(constant(name, value) for name, value in weights.items()),
        *nodes,
    ]
    model = {
        "format": "graph-model",
        "modelTopology": {"node": every},
        "weightsManifest": [{"paths": ["weights"], "weights": manifest}],
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def features(model_json: Path, layer: str, batch: np.ndarray) -> np.ndarray:
    backbone = load_graph_model(model_json, LoadOptions(ArraySpec((4,))))
    return backbone.cut(layer, pool="none")(batch)[f"{layer}/none"]


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((3, 4)).astype(np.float32)


def test_a_missing_tensorflow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_graph_model(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[tensorflow\]"):
        read_graph_model(folder / "model.json")


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_folder_or_its_json_is_read(tmp_path: Path, named: str) -> None:
    folder = write_graph_model(tmp_path)
    path = folder if named == "folder" else folder / "model.json"
    backbone = load_graph_model(path, LoadOptions("tf"))
    assert backbone.spec.name == folder.name
    assert backbone.load_name == f"tfjs:{folder / 'model.json'}"
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    found = backbone.cut("relu2", pool="none")(images)["relu2/none"]
    np.testing.assert_allclose(found, tiny_reference("relu2", images), atol=1e-5)


def test_the_digest_covers_every_shard(tmp_path: Path) -> None:
    folder = write_graph_model(tmp_path)
    before = load_graph_model(folder, LoadOptions("tf")).spec.weights_sha256
    shard = folder / "group1-shard2of2"
    shard.write_bytes(np.float32(0.25).tobytes() + shard.read_bytes()[4:])
    assert load_graph_model(folder, LoadOptions("tf")).spec.weights_sha256 != before


@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # a sigmoid last
@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("Relu", lambda y: np.maximum(y, 0)),
        ("Relu6", lambda y: np.clip(y, 0, 6)),
        ("Elu", lambda y: np.where(y > 0, y, np.expm1(y))),
        ("Sigmoid", lambda y: 1 / (1 + np.exp(-y))),
        ("Tanh", np.tanh),
        ("LeakyRelu", lambda y: np.where(y > 0, y, 0.3 * y)),
        ("NoActivation", lambda y: y),
    ],
)
def test_fused_activations(
    tmp_path: Path, batch: np.ndarray, activation: str, expected: Any
) -> None:
    random = np.random.default_rng(6)
    w, b = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 5), (5,)))
    attributes = {**FLOAT, **fused("BiasAdd", activation), "leakyrelu_alpha": {"f": 0.3}}
    dense = {"name": "y", "op": "_FusedMatMul", "input": ["x", "w", "b"], "attr": attributes}
    found = features(write_model(tmp_path, [dense], w=w, b=b), "y", batch)
    np.testing.assert_allclose(found, expected(batch @ w + b), rtol=1e-4, atol=1e-5)


def test_prelu_within_a_fused_operation_and_alone(tmp_path: Path, batch: np.ndarray) -> None:
    random = np.random.default_rng(6)
    w, b, slope = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 4), 4, 4))
    steps = {**FLOAT, **fused("BiasAdd", "Prelu")}
    nodes = [
        {"name": "y", "op": "_FusedMatMul", "input": ["x", "w", "b", "slope"], "attr": steps},
        {"name": "z", "op": "Prelu", "input": ["y", "slope"]},  # TF.js writes no type here
    ]
    model_json = write_model(tmp_path, nodes, w=w, b=b, slope=slope)
    y = batch @ w + b
    y = np.where(y > 0, y, slope * y)
    np.testing.assert_allclose(features(model_json, "y", batch), y, rtol=1e-4, atol=1e-5)
    z = np.where(y > 0, y, slope * y)
    np.testing.assert_allclose(features(model_json, "z", batch), z, rtol=1e-4, atol=1e-5)


def test_fused_depthwise_convolution_equals_tensorflows(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    w, b = (random.standard_normal(size).astype(np.float32) for size in ((3, 3, 2, 1), 2))
    attributes = {
        **FLOAT,
        **fused("BiasAdd", "Relu6"),
        "strides": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": {"s": text("SAME")},
    }
    shape = np.array([-1, 5, 5, 2], np.int32)
    nodes = [
        {"name": "map", "op": "Tile", "input": ["x", "times"], "attr": FLOAT},
        {"name": "image", "op": "Reshape", "input": ["map", "shape"], "attr": FLOAT},
        {
            "name": "y",
            "op": "FusedDepthwiseConv2dNative",
            "input": ["image", "w", "b"],
            "attr": attributes,
        },
    ]
    nodes[0]["attr"] = {**FLOAT, "Tmultiples": {"type": "DT_INT32"}}
    times = np.array([1, 25], np.int32)
    model_json = write_model(tmp_path, nodes, w=w, b=b, times=times, shape=shape)
    batch = random.standard_normal((2, 4)).astype(np.float32)
    # 4 · 25 numbers an item are two images of 5 × 5 × 2, so the rows are no items: run as it is.
    network = read_graph_model(model_json)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(network.graph_def, name="")
        found, image = session.run(["y:0", "image:0"], {"x:0": batch})
    expected = tf.nn.depthwise_conv2d(image, w, [1, 1, 1, 1], "SAME") + b
    np.testing.assert_allclose(found, np.clip(expected, 0, 6), atol=1e-5)


def test_an_unknown_operation_is_named_with_its_node(tmp_path: Path) -> None:
    node = {"name": "odd", "op": "MyCustomOp", "input": ["x"]}
    with pytest.raises(WeightsError, match='"odd" of kind MyCustomOp is unknown'):
        read_graph_model(write_model(tmp_path, [node]))


def test_an_unknown_fused_step_is_named(tmp_path: Path) -> None:
    attributes = {**FLOAT, **fused("BiasAdd", "Mystery")}
    node = {"name": "y", "op": "_FusedMatMul", "input": ["x", "w", "b"], "attr": attributes}
    w, b = np.ones((4, 4), np.float32), np.ones(4, np.float32)
    with pytest.raises(WeightsError, match='"y" of kind _FusedMatMul fuses Mystery'):
        read_graph_model(write_model(tmp_path, [node], w=w, b=b))


def test_a_constant_without_weights_is_named(tmp_path: Path) -> None:
    nodes = [constant("lost", np.ones(4, np.float32))]
    nodes.append({"name": "y", "op": "AddV2", "input": ["x", "lost"], "attr": FLOAT})
    with pytest.raises(WeightsError, match='constant "lost"'):
        read_graph_model(write_model(tmp_path, nodes))


def test_several_inputs_are_listed(tmp_path: Path) -> None:
    second = {"name": "state", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}}}
    both = {"name": "y", "op": "AddV2", "input": ["x", "state"], "attr": FLOAT}
    path = write_model(tmp_path, [second, both])
    assert read_graph_model(path).inputs == ("x", "state")
    with pytest.raises(UsageError, match=r'"state" of .* takes no batch of arrays'):
        load_graph_model(path, LoadOptions("none"))
    held = load_graph_model(path, LoadOptions(ArraySpec((4,)), inputs={"state": 2}))
    found = held.cut("y", pool="none")(np.ones((3, 4), "float32"))
    assert (found["y/none"] == 3).all()


def test_integers_that_tfjs_made_shorter_get_their_type_back(
    tmp_path: Path, batch: np.ndarray
) -> None:
    axis = constant("axis", np.array([1], np.int32))
    axis["attr"]["dtype"]["type"] = "DT_INT64"
    attributes = {**FLOAT, "Tidx": {"type": "DT_INT64"}, "keep_dims": {"b": True}}
    total = {"name": "total", "op": "Sum", "input": ["x", "axis"], "attr": attributes}
    model_json = write_model(tmp_path, [total], axis=np.array([1], np.int32))
    model = json.loads(model_json.read_text())
    model["modelTopology"]["node"][1] = axis
    model_json.write_text(json.dumps(model))
    found = features(model_json, "total", batch)
    np.testing.assert_allclose(found, batch.sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("topology", [None, [], {"node": [{"op_name": 1, "op": 3}]}])
def test_a_damaged_topology_is_an_error_of_ours(tmp_path: Path, topology: Any) -> None:
    model_json = write_model(tmp_path, [])
    model = {**json.loads(model_json.read_text()), "modelTopology": topology}
    model_json.write_text(json.dumps(model))
    with pytest.raises(WeightsError, match="topology is no graph"):
        read_graph_model(model_json)
