"""Keras networks: what the conformance suite does not ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, PreprocessSpec
from cutpoint.items.kinds.image import recipe_named
from cutpoint.networks.runtimes.keras import import_keras
from tests.conformance.networks.keras import (
    blocks,
    drawn,
    functional,
    nested,
    plain,
    subclassed,
)

SIDE = 32
TF = recipe_named("tf", SIDE)
BATCH = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)


def close(found: Any, expected: Any, tolerance: float = 1e-5) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("MobileNet", "conv_pw_13_relu", (None, 7, 7, 1024)),
        ("MobileNetV2", "out_relu", (None, 7, 7, 1280)),
        ("ResNet50", "conv5_block3_out", (None, 7, 7, 2048)),
        ("VGG16", "block5_pool", (None, 7, 7, 512)),
    ],
)
def test_the_layers_people_cut_at_have_the_shapes_they_know(
    name: str, layer: str, shape: tuple[int | None, ...]
) -> None:
    """Reference: Keras' own `get_layer(name).output.shape` and `count_params()`."""
    keras = import_keras()
    network = getattr(keras.applications, name)(weights=None, include_top=False)
    fixed = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(224, 224, 3)
    )
    for each in (network, fixed):  # with and without a declared size
        found = cp.load(each, preprocess="none").get_layer(layer)
        assert (found.shape, found.layout, found.stride) == (shape, "NHWC", 32)
    assert shape == fixed.get_layer(layer).output.shape
    table = cp.load(fixed, preprocess="none").layers()
    assert [row.name for row in table] == [each.name for each in fixed.layers]
    assert sum(row.params for row in table) == fixed.count_params()


def test_macs_are_kernel_entries_times_places() -> None:
    """Reference: the definition, summed over Keras' own layers; a dense layer has one place."""
    network = import_keras().applications.MobileNet(weights=None)
    expected = 0
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            places = layer.output.shape[1:3] if len(layer.output.shape) == 4 else (1,)
            expected += int(np.prod(layer.kernel.shape)) * int(np.prod(places))
    assert cp.load(network, preprocess="tf").layers()[-1].macs == expected


def test_macs_are_those_torchvision_publishes_for_the_same_network() -> None:
    """Reference: ``_ops`` (GMACs) in the metadata of torchvision 0.28's MobileNetV2 weights."""
    from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

    weights = import_with_shim("torchvision").models.get_model_weights("mobilenet_v2").DEFAULT
    network = import_keras().applications.MobileNetV2(weights=None)
    macs = cp.load(network, preprocess="tf").layers()[-1].macs
    assert macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.001)


def test_colours_reach_the_network_in_the_order_it_wants() -> None:
    """Reference: `keras.applications.imagenet_utils.preprocess_input`, mode "caffe"."""
    keras = import_keras()
    network = functional()
    recipe = recipe_named("caffe", SIDE)
    found = cp.load(network, recipe).cut("conv1", pool="none")(BATCH)["conv1/none"]
    utils = keras.applications.imagenet_utils
    fed = utils.preprocess_input(BATCH.astype(np.float32), mode="caffe")
    close(found, plain(network.get_layer("conv1")(fed)))


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_the_named_recipes_are_what_keras_does(mode: str) -> None:
    """Reference: `keras.applications.imagenet_utils.preprocess_input`; tolerance 1e-5."""
    spec = recipe_named({"torch": "imagenet"}.get(mode, mode), SIDE)
    utils = import_keras().applications.imagenet_utils
    expected = utils.preprocess_input(BATCH.astype(np.float32), mode=mode)
    seen = BATCH[..., ::-1] if spec.channels == "BGR" else BATCH
    found = (seen - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_channels_first_networks_are_fed_channels_first() -> None:
    """TensorFlow's CPU kernels compute NHWC alone, so only shapes are looked at, not numbers."""
    keras = import_keras()
    x = keras.Input((3, SIDE, SIDE))
    y = keras.layers.ReLU(name="act")(x)
    y = keras.layers.Conv2D(5, 3, strides=2, padding="same", data_format="channels_first")(y)
    backbone = cp.load(keras.Model(x, y), TF)
    assert backbone.layers()[-1].shape == (None, 5, 16, 16)
    assert backbone.layers()[-1].layout == "NCHW"
    close(
        backbone.cut("act", pool="none")(BATCH)["act/none"],
        np.maximum(np.moveaxis((BATCH - 127.5) / 127.5, 3, 1), 0),
    )


def test_a_network_with_several_inputs_is_fed_no_photos() -> None:
    keras = import_keras()
    a, b = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))
    network = keras.Model([a, b], keras.layers.Add()([a, b]))
    with pytest.raises(UsageError, match="2 inputs"):
        cp.load(network, TF)
    with pytest.raises(UsageError, match="2 inputs"):
        cp.load(network, "tf")


@pytest.mark.parametrize("wrap", [list, dict])
def test_one_input_in_a_list_or_a_dict_is_fed_as_declared(wrap: type) -> None:
    keras = import_keras()
    x = keras.Input((SIDE, SIDE, 3), name="image")
    y = keras.layers.Conv2D(4, 3, name="conv")(x)
    network = keras.Model([x] if wrap is list else {"image": x}, y)
    found = cp.load(network, TF).cut("conv", pool="gap")(BATCH)["conv/gap"]
    assert found.shape == (4, 4)


def test_a_layer_used_twice_is_no_tap() -> None:
    keras = import_keras()
    x = keras.Input((SIDE, SIDE, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    network = keras.Model(x, keras.layers.ReLU(name="last")(shared(shared(x))))
    table = cp.load(network, TF).layers()
    assert not table["shared"].tappable
    assert not table[0].tappable  # the input layer
    assert table["last"].tappable


def test_arrays_go_through_as_they_are() -> None:
    keras = import_keras()
    network = keras.Sequential([keras.Input((20, 2)), keras.layers.Conv1D(4, 3, name="conv")])
    backbone = cp.load(network, ArraySpec((20, 2)))
    batch = np.random.default_rng(0).normal(size=(3, 20, 2)).astype(np.float32)
    assert backbone.spec.modality == "array"
    assert backbone.get_layer("conv").layout == "NTC"
    close(backbone.cut("conv", pool="none")(batch)["conv/none"], plain(network(batch)))


def test_training_mode_and_dropout_change_nothing() -> None:
    network = functional()
    expected = cp.load(network, TF).cut("add", pool="gap")(BATCH)["add/gap"]
    network.trainable = True
    network.compile("sgd", "mse")
    backbone = cp.load(network, TF)
    before = {w.path: plain(w) for w in network.weights}
    np.testing.assert_array_equal(backbone.cut("add", pool="gap")(BATCH)["add/gap"], expected)
    assert network.trainable
    assert all(np.array_equal(before[w.path], plain(w)) for w in network.weights)
    assert all("call" not in layer.__dict__ for layer in network.layers)


def test_the_cut_holds_no_later_weights() -> None:
    """Counted in the frozen graph: constants of the cut against the layers up to the tap."""
    network = functional()
    backbone = cp.load(network, TF)
    sizes = {}
    for tap in ("conv1", "fc"):
        nodes = backbone.cut(tap, pool="none").concrete.graph.as_graph_def().node
        sizes[tap] = sum(
            int(np.prod([d.size for d in n.attr["value"].tensor.tensor_shape.dim]))
            for n in nodes
            if n.op == "Const"
        )
    conv1 = network.get_layer("conv1").count_params()
    assert conv1 <= sizes["conv1"] < conv1 + 50
    assert sizes["fc"] >= network.count_params()


def test_what_the_network_learns_later_does_not_reach_a_cut() -> None:
    network = functional()
    cut = cp.load(network, TF).cut("add", pool="gap")
    before = cut(BATCH)["add/gap"]
    network.get_layer("conv1").kernel.assign_add(np.ones((3, 3, 3, 8), np.float32))
    np.testing.assert_array_equal(cut(BATCH)["add/gap"], before)


def test_a_new_head_can_be_connected_and_trains_the_network() -> None:
    keras = import_keras()
    network = functional()
    tensor = cp.load(network, TF).symbolic("add", trainable=True)
    assert isinstance(tensor, keras.KerasTensor)
    head = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(tensor))
    model = keras.Model(network.input, head)
    before = plain(network.get_layer("conv1").kernel)
    model.compile("sgd", "mse")
    model.fit((BATCH - 127.5) / 127.5, np.ones((4, 2)), verbose=0)
    assert not np.array_equal(plain(network.get_layer("conv1").kernel), before)


def test_a_head_on_a_frozen_part_trains_on_what_a_cut_gives(tmp_path: Path) -> None:
    """`functional` has a norm and a dropout before the tap."""
    keras = import_keras()
    network = functional()
    backbone = cp.load(network, TF)
    tensor = backbone.symbolic("add")
    assert isinstance(tensor, keras.KerasTensor)
    head = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(tensor))
    model = keras.Model(backbone.network.input, head)
    assert [weight.shape for weight in model.trainable_weights] == [(8, 2), (2,)]
    before = [plain(weight) for weight in network.weights]
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse")
    x = (BATCH - 127.5) / 127.5
    model.fit(x, np.ones((4, 2)), epochs=2, verbose=0)
    for weight, was in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(plain(weight), was)
    part = keras.Model(network.input, tensor)
    close(plain(part(x, training=True)), backbone.cut("add", pool="none")(BATCH)["add/none"])
    model.save(tmp_path / "whole.keras")
    again = keras.saving.load_model(tmp_path / "whole.keras")
    close(plain(again(x, training=True)), plain(model(x, training=False)))
    assert len(again.trainable_weights) == 2


def test_what_was_frozen_is_trainable_where_that_is_asked_for() -> None:
    keras = import_keras()
    for network, layer in ((functional(), "add"), (nested(), "last")):
        backbone = cp.load(network, TF)
        backbone.symbolic(layer)
        model = keras.Model(network.input, backbone.symbolic(layer, trainable=True))
        names = {weight.name for weight in model.trainable_weights}
        assert {"kernel", "bias", "gamma", "beta"} <= names
        frozen = keras.Model(network.input, backbone.symbolic(layer))
        assert not frozen.trainable_weights


def by_fitting(network: Any) -> None:
    model = import_keras().Sequential([network])
    model.compile("sgd", "mse")
    model.fit((BATCH - 127.5) / 127.5, np.ones((4, 5)), verbose=0)


def by_assigning(network: Any) -> None:
    network.get_layer("conv1").kernel.assign_add(np.ones((3, 3, 3, 8), np.float32))


def by_moving_statistics(network: Any) -> None:
    network((BATCH - 127.5) / 127.5, training=True)


def by_other_weights(network: Any) -> None:
    network.set_weights([2 * weight for weight in network.get_weights()])


def by_other_settings(network: Any) -> None:
    network.get_layer("relu1").negative_slope = 0.5


@pytest.mark.parametrize(
    "change",
    [by_fitting, by_assigning, by_moving_statistics, by_other_weights, by_other_settings],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_a_changed_network_is_refused_until_it_is_as_it_was(
    change: Callable[[Any], None], is_file: bool, tmp_path: Path
) -> None:
    network = functional()
    network.save(tmp_path / "net.keras")
    backbone = cp.load(str(tmp_path / "net.keras") if is_file else network, TF)
    held = backbone.network
    was = held.get_weights()
    assert backbone.cut("add")
    change(held)
    for ask in (backbone.cut, backbone.feature_spec):
        with pytest.raises(WeightsError, match="no longer holds the weights"):
            ask()
    held.set_weights(was)
    held.get_layer("relu1").negative_slope = 0.0
    assert backbone.cut("add")


def test_drawing_at_random_and_freezing_change_no_feature() -> None:
    """The state of a dropout's generator, and whether layers are trained."""
    keras = import_keras()
    x = keras.Input((SIDE, SIDE, 3))
    y = keras.layers.Dropout(0.5, name="drop")(keras.layers.Conv2D(2, 3, name="conv")(x))
    network = keras.Model(x, y)
    backbone = cp.load(network, TF)
    network(np.ones((1, SIDE, SIDE, 3)), training=True)
    network.trainable = False
    assert backbone.cut("conv")


def test_a_subclassed_network_has_nothing_to_connect_to() -> None:
    with pytest.raises(UsageError, match="subclassed"):
        cp.load(subclassed(), TF).symbolic("early")


def test_pixels_are_not_scaled_twice() -> None:
    keras = import_keras()
    x = keras.Input((SIDE, SIDE, 3))
    network = drawn(keras.Model(x, blocks(keras, keras.layers.Rescaling(1 / 255)(x))))
    with pytest.raises(UsageError, match="scaled twice"):
        cp.load(network, TF)
    assert cp.load(network, "none").spec.preprocess == recipe_named("none", SIDE)


def test_weights_that_are_nan_are_refused() -> None:
    network = functional()
    network.get_layer("fc").bias.assign([0, 1, np.nan, 3, 4])
    with pytest.raises(WeightsError, match="NaN"):
        cp.load(network, TF)


def test_a_declared_size_is_the_size_of_the_recipe() -> None:
    spec = cp.load(functional(), preprocess="tf").spec.preprocess
    assert isinstance(spec, PreprocessSpec)
    assert (spec.resize_px, spec.crop_px) == (round(SIDE * 256 / 224), SIDE)
    with pytest.raises(UsageError, match="32×32×3"):
        cp.load(functional(), recipe_named("tf", 64))


def test_on_pytorch_the_same_network_gives_the_same_features(tmp_path: Path) -> None:
    """Two fresh processes, one a backend; tolerance 1e-5 of the largest feature."""
    functional().save(tmp_path / "net.keras")
    code = f"""
import sys, numpy as np, cutpoint as cp
backbone = cp.load({str(tmp_path / "net.keras")!r}, "tf")
import keras
assert keras.backend.backend() == sys.argv[1]
batch = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
cut = backbone.cut("add", "relu1", pool=["gap", "gram"])
table = [(row.name, row.shape, row.macs, row.params) for row in backbone.layers()]
np.savez({str(tmp_path)!r} + "/" + sys.argv[1], table=str(table), **cut(batch))
print(cut.why_native, cut.state_sha256())
"""
    found = {}
    for backend in ("tensorflow", "torch"):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        command = [sys.executable, "-W", "ignore", "-c", code, backend]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ("PyTorch is not converted" in done.stdout) == (backend == "torch")
        with np.load(tmp_path / f"{backend}.npz") as arrays:
            found[backend] = dict(arrays)
    one, other = found["tensorflow"], found["torch"]
    assert str(one.pop("table")) == str(other.pop("table"))
    for name, features in one.items():
        close(features, other[name])


def test_a_layer_of_two_networks_is_connected_in_the_right_one() -> None:
    keras = import_keras()
    first = functional()
    x = keras.Input((SIDE, SIDE, 3))
    y = keras.layers.ReLU(name="after")(first.get_layer("conv1")(x))
    second = keras.Model(x, y)
    tensor = cp.load(second, TF).symbolic("conv1")
    assert keras.Model(second.input, tensor)(np.zeros((1, SIDE, SIDE, 3))).shape == (1, 16, 16, 8)


def test_scaling_inside_a_nested_model_is_seen() -> None:
    keras = import_keras()
    layers = keras.layers
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Rescaling(1 / 255)])
    x = keras.Input((SIDE, SIDE, 3))
    network = keras.Model(x, layers.Conv2D(2, 3)(inner(x)))
    with pytest.raises(UsageError, match="scaled twice"):
        cp.load(network, recipe_named("unit", SIDE))


def test_equal_weights_in_another_network_are_another_spec() -> None:
    """Two networks that differ in an activation give other features, so other fingerprints."""
    keras = import_keras()

    def network(activation: str) -> Any:
        x = keras.Input((SIDE, SIDE, 3))
        return drawn(keras.Model(x, keras.layers.Conv2D(2, 3, activation=activation)(x)))

    one, again, other = (cp.load(network(name), TF).spec for name in ("relu", "relu", "tanh"))
    assert one == again
    assert one.weights_sha256 != other.weights_sha256


def test_a_network_without_weights_yet_is_refused() -> None:
    keras = import_keras()

    class Net(keras.Model):  # type: ignore[misc, name-defined]  # Keras publishes no types
        def __init__(self) -> None:
            super().__init__()
            self.conv = keras.layers.Conv2D(2, 3)

        def call(self, x: Any) -> Any:
            return self.conv(x)

    with pytest.raises(UsageError, match="not built yet"):
        cp.load(Net(), TF)


def test_attention_is_no_map() -> None:
    keras = import_keras()
    layers = keras.layers
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Reshape((64, 16, 3), name="oblong")(layers.ReLU(name="map")(x))
    table = cp.load(keras.Model(x, layers.Softmax(name="soft")(y)), TF).layers()
    assert (table["map"].layout, table["map"].stride) == ("NHWC", 1)
    assert (table["oblong"].layout, table["soft"].stride) == ("", None)


def test_weights_that_change_after_loading_are_noticed() -> None:
    network = functional()
    backbone = cp.load(network, TF)
    backbone.feature_spec(["add"], ["gap"])
    network.get_layer("conv1").kernel.assign_add(np.ones((3, 3, 3, 8), np.float32))
    with pytest.raises(WeightsError, match="changed"):
        backbone.feature_spec(["add"], ["gap"])
