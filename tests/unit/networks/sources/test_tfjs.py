"""``tfjs:`` layers-models: topologies of three generations, weights in their places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound, TapNotFound, UsageError, WeightsError
from cutpoint.items.kinds import prepare_item
from cutpoint.networks.layer_table import ClassProbabilities
from cutpoint.networks.runtimes.keras import import_keras
from tests.conformance.networks.keras import plain
from tests.unit.networks.sources.training import refused_after_a_step_of_training

BATCH = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


def network() -> Any:
    """The network all topologies below describe."""
    keras = import_keras()
    layers = keras.layers
    x = keras.Input((16, 16, 3), name="image")
    y = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    y = layers.BatchNormalization(name="bn1", epsilon=0.01)(y)
    y = layers.DepthwiseConv2D(3, padding="same", name="dw")(y)
    y = layers.ReLU(max_value=6.0, name="act")(y)
    y = layers.GlobalAveragePooling2D(name="gap")(y)
    found = keras.Model(x, layers.Dense(4, activation="softmax", name="fc")(y))
    random = np.random.default_rng(0)
    for weight in found.weights:
        weight.assign(random.uniform(0.1, 0.9, weight.shape).astype(np.float32))
    return found


def layer(kind: str, name: str, after: str | None, **config: Any) -> dict[str, Any]:
    inbound = [] if after is None else [[[after, 0, 0, {}]]]
    fields = {"name": name, "trainable": True, **config}
    return {"class_name": kind, "name": name, "config": fields, "inbound_nodes": inbound}


def keras_2(**changes: Any) -> dict[str, Any]:
    """As tensorflowjs writes Keras 2: initialisers, ``batch_input_shape``, axis in a list."""
    glorot = {"class_name": "GlorotUniform", "config": {"seed": None}}
    conv = {"strides": [2, 2], "padding": "same", "data_format": "channels_last"}
    layers = [
        layer("InputLayer", "image", None, batch_input_shape=[None, 16, 16, 3], sparse=False),
        layer("Conv2D", "conv1", "image", filters=6, kernel_size=[3, 3], use_bias=False, **conv),
        layer("BatchNormalization", "bn1", "conv1", axis=[3], epsilon=0.01, momentum=0.9),
        layer(
            "DepthwiseConv2D",
            "dw",
            "bn1",
            kernel_size=[3, 3],
            padding="same",
            filters=None,
            groups=1,
            depthwise_initializer=glorot,
        ),
        layer("ReLU", "act", "dw", max_value=6.0, negative_slope=0.0, threshold=0.0),
        layer("GlobalAveragePooling2D", "gap", "act", data_format="channels_last"),
        layer("Dense", "fc", "gap", units=4, activation="softmax", kernel_initializer=glorot),
    ]
    config = {
        "name": "model",
        "layers": layers,
        "input_layers": [["image", 0, 0]],
        "output_layers": [["fc", 0, 0]],
    }
    model = {"class_name": "Model", "config": config, **changes}
    return {"keras_version": "2.2.4", "backend": "tensorflow", "model_config": model}


def keras_1_sequential() -> dict[str, Any]:
    """A list of layers, the input noted on the first, as Keras 2.1 and older wrote it."""
    layers = keras_2()["model_config"]["config"]["layers"][1:]
    layers[0]["config"]["batch_input_shape"] = [None, 16, 16, 3]
    bare = [{"class_name": each["class_name"], "config": each["config"]} for each in layers]
    return {"keras_version": "2.1.4", "model_config": {"class_name": "Sequential", "config": bare}}


def keras_3() -> dict[str, Any]:
    """As Keras 3 itself serialises, ``batch_shape``, modules and all."""
    return {"keras_version": "3.15.1", "model_config": json.loads(network().to_json())}


def javascript() -> dict[str, Any]:
    """As a model saved from JavaScript: the topology without a wrapper around it."""
    return keras_2()["model_config"]


def write(
    folder: Path, topology: dict[str, Any], edit: Callable[[Any], None] | None = None
) -> Path:
    """Write model.json and one shard a layer, weights named as Keras 2 names them."""
    groups = []
    for number, each in enumerate(each for each in network().layers if each.weights):
        tensors, data = [], b""
        for weight in each.weights:
            kind = weight.name
            if each.name == "dw" and kind == "kernel":
                kind = "depthwise_kernel"
            tensors.append(
                {"name": f"{each.name}/{kind}", "shape": list(weight.shape), "dtype": "float32"}
            )
            data += plain(weight).tobytes()
        shard = f"group{number}-shard1of1"
        (folder / shard).write_bytes(data)
        groups.append({"paths": [shard], "weights": tensors})
    fields = {"format": "layers-model", "modelTopology": topology, "weightsManifest": groups}
    if edit is not None:
        edit(fields)
    (folder / "model.json").write_text(json.dumps(fields))
    return folder / "model.json"


# The last tap is the network's own answer, on purpose.
@pytest.mark.filterwarnings("ignore::cutpoint.networks.layer_table.ClassProbabilities")
@pytest.mark.parametrize("topology", [keras_2, keras_1_sequential, keras_3, javascript])
@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_topologies_of_every_generation_give_the_network(
    tmp_path: Path, topology: Callable[[], dict[str, Any]]
) -> None:
    """Reference: the Keras network the weights came from; tolerance 1e-5."""
    backbone = cp.load(f"tfjs:{write(tmp_path, topology())}", preprocess="tf")
    found = backbone.cut("act", "fc", pool="none")(BATCH)
    keras, source = import_keras(), network()
    ends = [source.get_layer(name).output for name in ("act", "fc")]
    expected = keras.Model(source.inputs[0], ends)((BATCH - 127.5) / 127.5, training=False)
    for name, truth in zip(("act/none", "fc/none"), expected, strict=True):
        assert np.abs(found[name] - plain(truth)).max() <= 1e-5 * np.abs(plain(truth)).max()


def test_after_training_it_is_no_longer_taken_for_the_files_network(tmp_path: Path) -> None:
    path = write(tmp_path, keras_2())
    refused_after_a_step_of_training(cp.load(f"tfjs:{path}", preprocess="tf"), "act")


def test_a_folder_or_its_model_json_or_the_bare_path_will_do(tmp_path: Path) -> None:
    path = write(tmp_path, keras_2())
    specs = [
        cp.load(name, "tf").spec for name in (f"tfjs:{path}", f"tfjs:{tmp_path}", str(tmp_path))
    ]
    assert specs[0] == specs[1] == specs[2]
    assert specs[0].name == tmp_path.name


def test_layers_are_found_as_tfjs_finds_them(tmp_path: Path) -> None:
    backbone = cp.load(f"tfjs:{write(tmp_path, keras_2())}", preprocess="tf")
    assert backbone.get_layer("act").index == 4
    assert backbone.get_layer(index=-1).name == "fc"
    assert backbone.get_layer(index=0).name == "image"
    with pytest.raises(UsageError):
        backbone.get_layer("act", 4)
    with pytest.raises(TapNotFound, match='"conv1"'):
        backbone.get_layer("conv_1")


def test_scaling_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="preprocess="):
        cp.load(f"tfjs:{write(tmp_path, keras_2())}")


def without_bias(fields: Any) -> None:
    last = fields["weightsManifest"][-1]
    last["weights"] = [w for w in last["weights"] if not w["name"].endswith("bias")]


def renamed(fields: Any) -> None:
    fields["weightsManifest"][0]["weights"][0]["name"] = "conv9/kernel"


def reshaped(fields: Any) -> None:
    fields["weightsManifest"][0]["weights"][0]["shape"] = [3, 3, 6, 3]


def unknown_layer(fields: Any) -> None:
    fields["modelTopology"]["model_config"]["config"]["layers"][4]["class_name"] = "HardSilu9"


def lambda_layer(fields: Any) -> None:
    fields["modelTopology"]["model_config"]["config"]["layers"][4]["class_name"] = "Lambda"


def no_topology(fields: Any) -> None:
    fields["modelTopology"] = {"keras_version": "2"}


def climbing_shard(fields: Any) -> None:
    fields["weightsManifest"][0]["paths"] = ["../../etc/passwd"]


def absent_shard(fields: Any) -> None:
    fields["weightsManifest"][1]["paths"] = ["group1-shard1of2"]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (without_bias, r"bytes|not there"),
        (renamed, 'the weight "conv9/kernel" has no layer'),
        (reshaped, r"\(3, 3, 6, 3\) where the layer takes \(3, 3, 3, 6\)"),
        (unknown_layer, "HardSilu9"),
        (lambda_layer, "Python code"),
        (no_topology, "neither a layers-model nor a graph-model"),
        (climbing_shard, "leads out"),
        (absent_shard, "group1-shard1of2"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    tmp_path: Path, edit: Callable[[Any], None], why: str
) -> None:
    path = write(tmp_path, keras_2(), edit)
    with pytest.raises(WeightsError, match=why):
        cp.load(f"tfjs:{path}", preprocess="tf")


def test_a_weight_that_is_missing_is_not_left_at_random(tmp_path: Path) -> None:
    def drop(fields: Any) -> None:
        fields["weightsManifest"].pop()

    path = write(tmp_path, keras_2(), drop)
    with pytest.raises(WeightsError, match="2 weights are not there"):
        cp.load(f"tfjs:{path}", preprocess="tf")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(BackboneNotFound, match="No file or folder"):
        cp.load("tfjs:nowhere/model.json", preprocess="tf")


@pytest.mark.shared
def test_mobilenet_is_the_same_in_tfjs_and_h5(shared: Path) -> None:
    """One network in two formats; tolerance 1e-4 relative, seen 0."""
    models = shared / "models"
    file = models / "mobilenet_v1_025_keras" / "mobilenet_2_5_224_tf.h5"
    one = cp.load(f"tfjs:{models / 'mobilenet_v1_025_tfjs'}", preprocess="tf")
    other = cp.load(f"keras:MobileNet?alpha=0.25&weights={file}")
    assert one.get_layer("conv_pw_13_relu").shape == (None, 7, 7, 256)
    photo = (models / "squeezenet11" / "kitten_224.png").read_bytes()
    image = prepare_item(photo, one.spec.preprocess)[0]["image"][None]
    names = ("conv1_relu", "conv_dw_5_relu", "conv_pw_13_relu", "conv_preds")
    found = one.cut(*names, pool="none")(image)
    for name, truth in other.cut(*names, pool="none")(image).items():
        assert np.abs(found[name] - truth).max() <= 1e-4 * np.abs(truth).max()


@pytest.mark.shared
def test_the_quantised_model_has_its_layers(shared: Path) -> None:
    path = shared / "models" / "nsfw_mobilenet_v2_tfjs"
    backbone = cp.load(f"tfjs:{path}", preprocess="unit")
    assert backbone.get_layer("out_relu").shape == (None, 7, 7, 1280)
    photo = (shared / "models" / "squeezenet11" / "kitten_224.png").read_bytes()
    image = prepare_item(photo, backbone.spec.preprocess)[0]["image"][None]
    with pytest.warns(ClassProbabilities):
        cut = backbone.cut(-1, pool="none")
    scores = cut(image)["dense_3/none"][0]
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert scores.max() > 0.9  # sure of itself on a plain photo; node's TF.js checks the numbers


@pytest.mark.parametrize("topology", [None, "text", [], {"model_config": None}])
def test_a_topology_of_another_type_is_refused(tmp_path: Path, topology: Any) -> None:
    def edit(fields: Any) -> None:
        fields["modelTopology"] = topology

    with pytest.raises(WeightsError, match="neither a layers-model nor"):
        cp.load(f"tfjs:{write(tmp_path, keras_2(), edit)}", preprocess="tf")


def without_config(fields: Any) -> None:
    del fields["modelTopology"]["model_config"]["config"]["layers"][1]["config"]


def no_layers(fields: Any) -> None:
    fields["modelTopology"]["model_config"]["config"]["layers"] = None


def two_axes(fields: Any) -> None:
    fields["modelTopology"]["model_config"]["config"]["layers"][2]["config"]["axis"] = [1, 2]


def time_major(fields: Any) -> None:
    fields["modelTopology"]["model_config"]["config"]["layers"][4]["config"]["time_major"] = True


@pytest.mark.parametrize("edit", [without_config, no_layers, two_axes, time_major])
def test_a_topology_that_is_broken_or_would_change_numbers_is_refused(
    tmp_path: Path, edit: Callable[[Any], None]
) -> None:
    with pytest.raises(WeightsError):
        cp.load(f"tfjs:{write(tmp_path, keras_2(), edit)}", preprocess="tf")


def test_hard_sigmoid_is_the_old_function() -> None:
    """Reference: tfjs-layers and Keras 2, clip(0.2 x + 0.5, 0, 1); Keras 3's own differs."""
    from cutpoint.networks.sources.keras_topology import network_from_topology

    keras = import_keras()
    layers = [
        layer("InputLayer", "image", None, batch_input_shape=[None, 4]),
        layer("Dense", "fc", "image", units=4, use_bias=False, activation="hard_sigmoid"),
    ]
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [["fc", 0, 0]]}
    topology = {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}
    x = np.linspace(-4, 4, 12, dtype=np.float32).reshape(3, 4)
    found = {}
    for is_old in (True, False):
        source = network_from_topology(keras, topology, "it", is_old)
        source.get_layer("fc").kernel.assign(np.eye(4, dtype=np.float32))
        found[is_old] = plain(source(x))
    np.testing.assert_allclose(found[True], np.clip(0.2 * x + 0.5, 0, 1), atol=1e-6)
    np.testing.assert_allclose(found[False], np.clip(x / 6 + 0.5, 0, 1), atol=1e-6)


def test_layers_with_a_slash_find_their_weights(tmp_path: Path) -> None:
    """Keras 3 allows no slash in a name, so a/b is called a.b; its weights are still a/b's."""
    path = write(tmp_path, keras_2())
    path.write_text(path.read_text().replace('"conv1', '"part/conv1'))
    backbone = cp.load(f"tfjs:{path}", preprocess="tf")
    assert backbone.get_layer("part.conv1").params == 162
