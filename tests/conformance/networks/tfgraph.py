"""One tiny seeded network as a SavedModel and as a TF.js graph-model."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.savedmodel import load
from cutpoint.networks.sources.tfjs_graph import load_graph_model
from tests.conformance.networks import SIDE, Case, Made

RECIPE = "tf"  # −1 to 1


def tiny_weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    shapes = {"w1": (3, 3, 3, 8), "b1": (8,), "w2": (3, 3, 8, 16), "w3": (16, 5), "b3": (5,)}
    return {
        name: (random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
        for name, shape in shapes.items()
    }


def tiny_steps(tf: Any, weights: dict[str, Any], x: Any) -> dict[str, Any]:
    """Return every activation under the name it has in both files."""
    steps = {}
    steps["relu1/Conv2D"] = tf.nn.conv2d(x, weights["w1"], 2, "SAME", name="relu1/Conv2D")
    steps["relu1/BiasAdd"] = tf.nn.bias_add(
        steps["relu1/Conv2D"], weights["b1"], name="relu1/BiasAdd"
    )
    steps["relu1"] = tf.nn.relu(steps["relu1/BiasAdd"], name="relu1")
    steps["conv2"] = tf.nn.conv2d(steps["relu1"], weights["w2"], 2, "SAME", name="conv2")
    steps["relu2"] = tf.nn.relu(steps["conv2"], name="relu2")
    steps["gap"] = tf.reduce_mean(steps["relu2"], [1, 2], name="gap")
    steps["logits/MatMul"] = tf.matmul(steps["gap"], weights["w3"], name="logits/MatMul")
    steps["logits"] = tf.nn.bias_add(steps["logits/MatMul"], weights["b3"], name="logits")
    return steps


def tiny_reference(layer: str, batch: np.ndarray) -> np.ndarray:
    """Return an activation computed by TensorFlow, step by step."""
    import tensorflow as tf

    steps = tiny_steps(tf, tiny_weights(), batch.astype(np.float32) / 127.5 - 1)
    found: np.ndarray = steps[layer].numpy()
    return found


def write_saved_model(folder: Path) -> Path:
    """Save the network with a `training` switch that adds dropout, and no signature."""
    import tensorflow as tf

    class Tiny(tf.Module):  # type: ignore[misc]  # TensorFlow publishes no types
        def __init__(self) -> None:
            super().__init__()
            self.kept = {name: tf.Variable(value) for name, value in tiny_weights().items()}

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            if training:
                x = tf.nn.dropout(x, 0.5)
            return tiny_steps(tf, self.kept, x)["logits"]

    tiny = Tiny()
    for training in (True, False):
        tiny.__call__.get_concrete_function(
            tf.TensorSpec((None, SIDE, SIDE, 3), name="images"), training=training
        )
    tf.saved_model.save(tiny, str(folder / "tiny"), signatures={})
    return folder / "tiny"


def write_graph_model(folder: Path) -> Path:
    """Write the network as tensorflowjs_converter does: fused, in two shards."""
    axes = {"axes": np.array([1, 2], np.int32)}
    weights = {**tiny_weights(), **axes}
    data = b"".join(value.tobytes() for value in weights.values())
    manifest = {
        "paths": ["group1-shard1of2", "group1-shard2of2"],
        "weights": [
            {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
            for name, value in weights.items()
        ],
    }
    folder = folder / "tiny"
    folder.mkdir()
    (folder / "group1-shard1of2").write_bytes(data[:1000])
    (folder / "group1-shard2of2").write_bytes(data[1000:])
    model = {
        "format": "graph-model",
        "modelTopology": {"node": tiny_nodes(weights), "versions": {}, "library": {}},
        "weightsManifest": [manifest],
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder


def tiny_nodes(weights: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    float_type = {"T": {"type": "DT_FLOAT"}}
    conv = {
        **float_type,
        "strides": ints(1, 2, 2, 1),
        "dilations": ints(1, 1, 1, 1),
        "padding": {"s": text("SAME")},
        "data_format": {"s": text("NHWC")},
    }
    return [
        *(constant(name, value) for name, value in weights.items()),
        {
            "name": "images",
            "op": "Placeholder",
            "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": sizes(-1, SIDE, SIDE, 3)}},
        },
        {
            "name": "relu1",
            "op": "_FusedConv2D",
            "input": ["images", "w1", "b1"],
            "attr": {**conv, **fused("BiasAdd", "Relu")},
        },
        {"name": "conv2", "op": "Conv2D", "input": ["relu1", "w2"], "attr": conv},
        {"name": "relu2", "op": "Relu", "input": ["conv2"], "attr": float_type},
        {
            "name": "gap",
            "op": "Mean",
            "input": ["relu2", "axes"],
            "attr": {**float_type, "Tidx": {"type": "DT_INT32"}},
        },
        {
            "name": "logits",
            "op": "_FusedMatMul",
            "input": ["gap", "w3", "b3"],
            "attr": {**float_type, **fused("BiasAdd")},
        },
    ]


def constant(name: str, value: np.ndarray) -> dict[str, Any]:
    kind = "DT_INT32" if value.dtype == np.int32 else "DT_FLOAT"
    tensor = {"dtype": kind, "tensorShape": sizes(*value.shape)}
    attributes = {"dtype": {"type": kind}, "value": {"tensor": tensor}}
    return {"name": name, "op": "Const", "attr": attributes}


def sizes(*numbers: int) -> dict[str, Any]:
    return {"dim": [{"size": str(number)} for number in numbers]}


def ints(*numbers: int) -> dict[str, Any]:
    return {"list": {"i": [str(number) for number in numbers]}}


def text(characters: str) -> str:
    return base64.b64encode(characters.encode()).decode()


def fused(*operations: str) -> dict[str, Any]:
    names = [text(operation) for operation in operations]
    return {"fused_ops": {"list": {"s": names}}, "num_args": {"i": "1"}}


def _made(backbone: Backbone) -> Made:
    return Made(backbone, tiny_reference, lambda: constants(backbone.network))


def constants(network: Any) -> dict[str, np.ndarray]:
    import tensorflow as tf

    nodes = (node for node in network.graph_def.node if node.op == "Const")
    return {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in nodes}


def _make_saved_model(folder: Path) -> Made:
    path = write_saved_model(folder)
    return _made(load(str(path), LoadOptions(RECIPE, trust_weights=True)))


def _make_graph_model(folder: Path) -> Made:
    return _made(load_graph_model(write_graph_model(folder), LoadOptions(RECIPE)))


CASES = [
    Case(
        "savedmodel",
        _make_saved_model,
        unstated=lambda folder: load(
            str(write_saved_model(folder)), LoadOptions(trust_weights=True)
        ),
    ),
    Case(
        "tfjs-graph",
        _make_graph_model,
        unstated=lambda folder: load_graph_model(write_graph_model(folder), LoadOptions()),
    ),
]
