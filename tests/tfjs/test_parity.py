"""Features of TF.js models against the real TF.js."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cutpoint.base.spec import ArraySpec
from cutpoint.networks.backbone import Backbone, LoadOptions
from tests.tfjs.reference import needs_tfjs, nsfwjs_graph_model, tfjs_activations

pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")

# Relative to the largest magnitude. Measured: graph-model 2e-7 at most.
TOLERANCE = 1e-4
SCOPE = (
    "StatefulPartitionedCall/sequential/keras_layer/StatefulPartitionedCall/"
    "StatefulPartitionedCall/StatefulPartitionedCall/predict/MobilenetV2/"
)
# Floats go in as they are, so that both sides see the same numbers.
OPTIONS = LoadOptions(ArraySpec((224, 224, 3)))

pytestmark = [needs_tfjs]


def batch(low: float, high: float) -> np.ndarray:
    return np.random.default_rng(3).uniform(low, high, (1, 224, 224, 3)).astype(np.float32)


def assert_equal_at(
    backbone: Backbone, model_json: Path, layers: list[str], items: np.ndarray, folder: Path
) -> None:
    found = backbone.cut(*layers, pool="none")(items)
    for layer, expected in tfjs_activations(model_json, items, layers, folder).items():
        activation = found[f"{layer}/none"]
        assert activation.shape == expected.shape
        error = np.abs(activation - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE, f"{layer}: {error:.1e}"


@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_a_real_graph_model_gives_what_tfjs_gives(tmp_path: Path) -> None:
    from cutpoint.networks.sources.tfjs_graph import load_graph_model

    model_json = nsfwjs_graph_model(tmp_path)
    layers = [
        f"{SCOPE}expanded_conv_2/add",
        f"{SCOPE}expanded_conv_9/expand/Relu6",
        "StatefulPartitionedCall/sequential/prediction/Softmax",
    ]
    backbone = load_graph_model(model_json, OPTIONS)
    assert_equal_at(backbone, model_json, layers, batch(0, 1), tmp_path)


def test_fused_steps_give_what_tfjs_gives(tmp_path: Path) -> None:
    from cutpoint.networks.sources.tfjs_graph import load_graph_model
    from tests.conformance.networks.tfgraph import SIDE, write_graph_model

    folder = write_graph_model(tmp_path)
    backbone = load_graph_model(folder, LoadOptions(ArraySpec((SIDE, SIDE, 3))))
    items = np.random.default_rng(4).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)
    layers = ["relu1", "conv2", "logits"]
    assert_equal_at(backbone, folder / "model.json", layers, items, tmp_path)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "layers", "limits"),
    [
        (
            "mobilenet_v1_025_tfjs",
            ["conv_pw_6_relu", "conv_pw_13_relu", "conv_preds"],
            (-1, 1),
        ),
        ("nsfw_mobilenet_v2_tfjs", ["block_6_expand_relu", "block_12_add", "out_relu"], (0, 1)),
    ],
)
def test_real_layers_models_give_what_tfjs_gives(
    shared: Path, tmp_path: Path, folder: str, layers: list[str], limits: tuple[float, float]
) -> None:
    pytest.importorskip("cutpoint.networks.sources.tfjs", reason="the source tfjs is not there")
    from cutpoint.networks.sources.registry import load_backbone

    model_json = shared / "models" / folder / "model.json"
    backbone = load_backbone(f"tfjs:{model_json}", OPTIONS)
    assert_equal_at(backbone, model_json, layers, batch(*limits), tmp_path)
