"""SavedModels and TF-Hub modules: what is run, what is refused, and real ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import BackboneNotFound, MissingExtra, UsageError, WeightsError
from cutpoint.base.spec import ArraySpec, PreprocessSpec
from cutpoint.networks.backbone import Backbone, LoadOptions

tf = pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")

from cutpoint.networks.sources.savedmodel import load, load_tfhub  # noqa: E402
from tests.conformance.networks import SIDE  # noqa: E402
from tests.conformance.networks.tfgraph import tiny_reference, write_saved_model  # noqa: E402
from tests.conftest import SHARED  # noqa: E402

TRUSTED = LoadOptions("tf", trust_weights=True)
NUMBERS = LoadOptions(ArraySpec((4,)), trust_weights=True)


class Doubling(tf.Module):  # type: ignore[misc]  # TensorFlow publishes no types
    """Four numbers an item, times weights."""

    def __init__(self, scale: float = 2.0) -> None:
        super().__init__()
        self.scale = tf.Variable([scale] * 4)


def save(folder: Path, function: Any, *specs: Any, module: Any = None, **signatures: Any) -> Path:
    """Save `function` of a module as its signature ``serving_default`` and others."""
    module = module or Doubling()
    run = tf.function(lambda *inputs: function(module, *inputs), input_signature=list(specs))
    found = {"serving_default": run, **signatures}
    tf.saved_model.save(module, str(folder), signatures=found)
    return folder


def numbers(name: str = "x") -> Any:
    return tf.TensorSpec((None, 4), tf.float32, name)


def images(n_items: int = 2, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (n_items, side, side, 3)).astype(np.uint8)


def test_a_missing_tensorflow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_saved_model(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtra, match=r"cutpoint-ml\[tensorflow\]"):
        load(str(folder), TRUSTED)


@pytest.mark.parametrize("loader", [load, load_tfhub])
def test_trust_comes_before_anything_is_opened(tmp_path: Path, loader: Any) -> None:
    with pytest.raises(WeightsError, match="can run code"):
        loader(str(tmp_path / "not even there"), LoadOptions("tf"))


def test_a_missing_folder_is_told() -> None:
    with pytest.raises(BackboneNotFound, match="No file or folder"):
        load("nowhere", TRUSTED)


def test_a_folder_without_a_graph_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r'"saved_model.pb" is not there'):
        load(str(tmp_path), TRUSTED)


def test_a_damaged_graph_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"not a graph")
    with pytest.raises(WeightsError, match="can't be loaded"):
        load(str(tmp_path), TRUSTED)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write_saved_model(tmp_path)
    index = folder / "variables" / "variables.index"
    os.rename(index, tmp_path / "elsewhere")
    index.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match="is a link"):
        load(str(folder), TRUSTED)


def test_the_call_without_training_is_taken(tmp_path: Path) -> None:
    backbone = load(str(write_saved_model(tmp_path)), TRUSTED)
    kinds = {row.kind for row in backbone.layers()}
    assert not any("Random" in kind for kind in kinds)
    found = backbone.cut("logits")(images())["logits/none"]
    np.testing.assert_allclose(found, tiny_reference("logits", images()), atol=1e-5)


def test_names_lose_the_calls_they_lay_in(tmp_path: Path) -> None:
    def run(module: Any, x: Any) -> Any:
        inner = tf.function(lambda y: tf.multiply(y, module.scale, name="scaled"))
        return inner(x)

    names = [row.name for row in load(str(save(tmp_path, run, numbers())), NUMBERS).layers()]
    assert names == ["scaled"]


def test_names_that_would_clash_keep_their_calls(tmp_path: Path) -> None:
    def run(module: Any, x: Any) -> Any:
        inner = tf.function(lambda y: tf.multiply(y, module.scale, name="scaled"))
        return inner(inner(x))

    names = [row.name for row in load(str(save(tmp_path, run, numbers())), NUMBERS).layers()]
    assert len(set(names)) == len(names) == 2
    assert all("PartitionedCall" in name and name.endswith("/scaled") for name in names)


def test_every_output_can_be_tapped(tmp_path: Path) -> None:
    def run(module: Any, x: Any) -> Any:
        more = tf.multiply(x, module.scale, name="more")
        return {"more": more, "less": tf.negative(x, name="less")}

    backbone = load(str(save(tmp_path, run, numbers())), NUMBERS)
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    found = backbone.cut("more", "less", pool="none")(batch)
    np.testing.assert_array_equal(found["more/none"], 2 * batch)
    np.testing.assert_array_equal(found["less/none"], -batch)


def test_several_inputs_are_listed(tmp_path: Path) -> None:
    folder = save(tmp_path, lambda module, x, y: x + y, numbers("x"), numbers("y"))
    with pytest.raises(UsageError, match=r"takes 2 inputs: x .*, y "):
        load(str(folder), NUMBERS)
    both = load(str(folder), LoadOptions("none", True))
    ones = np.ones((2, 4), "float32")
    (found,) = both.cut(-1, pool="none")({"x": ones, "y": 2 * ones}).values()
    assert (found == 3).all()


def test_several_signatures_without_a_default_are_listed(tmp_path: Path) -> None:
    module = Doubling()
    runs = {
        name: tf.function(lambda x: x * module.scale, input_signature=[numbers()])
        for name in ("encode", "decode")
    }
    tf.saved_model.save(module, str(tmp_path), signatures=runs)
    with pytest.raises(UsageError, match=r"signatures: (encode, decode|decode, encode)"):
        load(str(tmp_path), NUMBERS)


def test_python_in_the_graph_is_refused_even_if_trusted(tmp_path: Path) -> None:
    def run(module: Any, x: Any) -> Any:
        return tf.py_function(abs, [x], x.dtype)

    with pytest.raises(WeightsError, match="kind EagerPyFunc reaches beyond"):
        load(str(save(tmp_path, run, numbers())), NUMBERS)


def test_a_write_that_no_feature_needs_never_happens(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    def run(module: Any, x: Any) -> Any:
        tf.io.write_file(str(canary), "written")
        return x * module.scale

    backbone = load(str(save(tmp_path / "model", run, numbers())), NUMBERS)
    found = backbone.cut(-1)(np.ones((1, 4), np.float32)).popitem()[1]
    np.testing.assert_array_equal(found, [[2.0] * 4])
    assert not canary.exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    module = Doubling(float("nan"))
    folder = save(tmp_path, lambda module, x: x * module.scale, numbers(), module=module)
    with pytest.raises(WeightsError, match="holds NaN or infinity"):
        load(str(folder), NUMBERS)


def test_savedmodels_need_their_preprocessing_stated_and_hub_images_do_not(tmp_path: Path) -> None:
    folder = str(write_saved_model(tmp_path))
    unstated = LoadOptions(trust_weights=True)
    with pytest.raises(UsageError, match="not known"):
        load(folder, unstated)
    recipe = load_tfhub(folder, unstated).spec.preprocess
    assert isinstance(recipe, PreprocessSpec)
    assert (recipe.mean, recipe.std, recipe.crop_px) == ((0.0,) * 3, (255.0,) * 3, SIDE)


def test_hub_modules_of_other_inputs_need_it_stated_too(tmp_path: Path) -> None:
    folder = save(tmp_path, lambda module, x: x * module.scale, numbers())
    with pytest.raises(UsageError, match="not known"):
        load_tfhub(str(folder), LoadOptions(trust_weights=True))


def test_fractions_for_a_network_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    spec = tf.TensorSpec((None, 8, 8, 3), tf.uint8)
    folder = save(tmp_path, lambda module, x: tf.cast(x, tf.float32) * module.scale[:3], spec)
    with pytest.raises(UsageError, match="can't take fractions, which the preprocessing gives"):
        load(str(folder), TRUSTED)
    backbone = load(str(folder), LoadOptions("none", trust_weights=True))
    batch = images(2, 8)
    np.testing.assert_array_equal(backbone.cut(-1, pool="none")(batch).popitem()[1], 2.0 * batch)


# Relative to the largest magnitude; measured 2.4e-6 at most.
TWIN_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def mobilenet() -> Backbone:
    folder = SHARED / "models" / "mobilenet_v1_025_savedmodel"
    return load_tfhub(str(folder), LoadOptions(trust_weights=True))


@pytest.mark.shared
def test_a_real_hub_module_equals_its_keras_twin(shared: Path, mobilenet: Backbone) -> None:
    keras = pytest.importorskip("keras", reason="the extra keras is not installed")
    weights = shared / "models" / "mobilenet_v1_025_keras" / "mobilenet_2_5_224_tf_no_top.h5"
    twin = keras.applications.MobileNet(alpha=0.25, weights=str(weights), include_top=False)
    layers = ["conv1_relu", "conv_pw_6_relu", "conv_pw_11_relu", "conv_pw_13_relu"]
    twin = keras.Model(twin.input, [twin.get_layer(name).output for name in layers])
    batch = images(2, 224)
    taps = [f"mobilenet_0.25_224/{name}/Relu6" for name in layers]
    found = mobilenet.cut(*taps, "global_average_pooling2d_1/Mean", pool="none")(batch)
    expected = [np.asarray(each) for each in twin(batch.astype(np.float32) / 127.5 - 1)]
    expected.append(expected[-1].mean((1, 2)))
    for (name, activation), truth in zip(found.items(), expected, strict=True):
        error = np.abs(activation - truth).max() / np.abs(truth).max()
        assert error <= TWIN_TOLERANCE, f"{name}: {error:.1e}"


@pytest.mark.shared
def test_a_real_hub_module_equals_tensorflows_own_call(shared: Path, mobilenet: Backbone) -> None:
    module = tf.saved_model.load(str(shared / "models" / "mobilenet_v1_025_savedmodel"))
    batch = images(2, 224)
    (found,) = mobilenet.cut(-1)(batch).values()
    unit = tf.constant(batch, tf.float32) / 255
    expected = module(unit, training=False).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # In training it normalises by the batch, and gives something else.
    assert np.abs(found - module(unit, training=True).numpy()).max() > 0.1


@pytest.mark.shared
def test_a_cut_of_a_real_module_holds_fewer_constants(mobilenet: Backbone) -> None:
    def n_bytes(cut: Any) -> int:
        return int(cut.concrete.graph.as_graph_def().ByteSize())

    early = mobilenet.cut("mobilenet_0.25_224/conv_pw_6_relu/Relu6", pool="none")
    # Five sixths of MobileNet's weights lie after its sixth block.
    assert n_bytes(early) < 0.4 * n_bytes(mobilenet.cut(-1))


@pytest.fixture(scope="module")
def basic_pitch() -> Backbone:
    folder = SHARED / "models" / "basic_pitch" / "nmp"
    return load(str(folder), LoadOptions("none", trust_weights=True))


def tone(n_items: int = 2) -> np.ndarray:
    """Return 440 Hz and its fifth with noise, as the network takes them (22.05 kHz)."""
    seconds = np.arange(43844) / 22050
    pitches = 440 * 1.5 ** np.arange(n_items)
    noise = np.random.default_rng(0).standard_normal((n_items, 43844)) * 0.01
    waves = 0.5 * np.sin(2 * np.pi * pitches[:, None] * seconds) + noise
    return waves[..., None].astype(np.float32)


PITCH_OUTPUTS = {
    "note": "model_1/note/reshape_3/Reshape",
    "onset": "model_1/onset/reshape_2/Reshape",
    "contour": "model_1/contour/reshape_1/Reshape",
}


@pytest.mark.shared
@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_a_real_savedmodel_of_keras_2_hears_a_tone(basic_pitch: Backbone) -> None:
    assert basic_pitch.spec.modality == "array"
    assert basic_pitch.spec.preprocess == ArraySpec((43844, 1))
    name = PITCH_OUTPUTS["note"]
    notes = basic_pitch.cut(name, pool="none")(tone(1))[f"{name}/none"][0]
    # Keys of a piano from A0: A4, 440 Hz, is the 48th after it.
    assert notes.mean(0).argmax() == 48


@pytest.mark.shared
@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_basic_pitch_equals_tensorflows_own_run(shared: Path, basic_pitch: Backbone) -> None:
    interior = ["model_1/conv2d_1/Conv2D", "model_1/re_lu_2/Relu"]
    layers = [*interior, *PITCH_OUTPUTS.values()]
    found = basic_pitch.cut(*layers, pool="none")(tone())
    for layer, expected in pitch_reference(shared, layers).items():
        scale = np.abs(expected).max()
        assert np.abs(found[f"{layer}/none"] - expected).max() <= 1e-4 * scale, layer


def pitch_reference(shared: Path, layers: list[str]) -> dict[str, np.ndarray]:
    """Return activations by TensorFlow's own freezing and pruning, found by its own names."""
    from tensorflow.python.framework import convert_to_constants as freezing

    folder = str(shared / "models" / "basic_pitch" / "nmp")
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], folder)
        definition = freezing.convert_variables_to_constants_from_session_graph(
            session, graph.as_graph_def(), ["StatefulPartitionedCall"]
        )
    flat = freezing.convert_variables_to_constants_v2(
        tf.compat.v1.wrap_function(
            lambda x: tf.graph_util.import_graph_def(
                definition, {"serving_default_input_2:0": x}, ["StatefulPartitionedCall:0"]
            ),
            [tf.TensorSpec((None, 43844, 1), tf.float32)],
        )
    )
    operations = flat.graph.get_operations()
    tensors = []
    for layer in layers:
        (operation,) = [each for each in operations if each.name.endswith(f"/{layer}")]
        tensors.append(operation.outputs[0])
    values = flat.prune(flat.inputs[0], tensors)(tf.constant(tone()))
    return {layer: value.numpy() for layer, value in zip(layers, values, strict=True)}


@pytest.mark.shared
@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_basic_pitch_equals_its_onnx_twin_at_the_outputs(
    shared: Path, basic_pitch: Backbone
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    path = shared / "models" / "basic_pitch" / "nmp.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # Its outputs are called as the SavedModel's signature maps them.
    places = {"onset": 2, "note": 1, "contour": 0}
    names = [f"StatefulPartitionedCall:{place}" for place in places.values()]
    expected = session.run(names, {session.get_inputs()[0].name: tone()})
    found = basic_pitch.cut(*PITCH_OUTPUTS.values(), pool="none")(tone())
    for output, truth in zip(places, expected, strict=True):
        # Probabilities; 8e-7 at most on an Intel Xeon, 3.2e-4 on an AMD EPYC without AVX-512, where
        # the two libraries sum in other orders and the network takes logarithms of near silence.
        np.testing.assert_allclose(found[f"{PITCH_OUTPUTS[output]}/none"], truth, atol=1e-3)
