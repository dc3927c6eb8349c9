"""One network, several formats, the same features. Real weights, real photos.

Each tolerance is a share of the largest magnitude of the tap. What can't be equal is listed with
its reason in ``known_differences/formats.txt``; the test reads its tolerances there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds import prepare_item
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.runtimes.keras import import_keras

pytestmark = pytest.mark.shared

LINES = Path(__file__).parent.joinpath("known_differences", "formats.txt").read_text().splitlines()
TOLERANCES = {
    name: float(tolerance)
    for name, tolerance, _ in (
        line.split(maxsplit=2) for line in LINES if line and not line.startswith("#")
    )
}


def photos(shared: Path, spec: PreprocessSpec) -> np.ndarray:
    folder = shared / "models" / "squeezenet11"
    files = (folder / "kitten_224.png", folder / "fish.png")
    return np.stack([prepare_item(file.read_bytes(), spec)[0]["image"] for file in files])


def features(backbone: Backbone, layer: str, batch: np.ndarray) -> np.ndarray:
    """Return maps with channels last, whatever the framework's layout."""
    found = backbone.cut(layer, pool="none")(batch)[f"{layer}/none"]
    layout = backbone.get_layer(layer).layout
    return np.moveaxis(found, layout.index("C"), -1)


def assert_same(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    assert worst <= TOLERANCES[name], f"{name}: {worst:.1e}"


# --- MobileNet V1 0.25: TF.js = Keras h5 = SavedModel -----------------------------------------

MOBILENET_LAYERS = ("conv1_relu", "conv_pw_6_relu", "conv_pw_13_relu")


@pytest.mark.parametrize("layer", MOBILENET_LAYERS)
def test_mobilenet(shared: Path, layer: str) -> None:
    models = shared / "models"
    h5 = models / "mobilenet_v1_025_keras" / "mobilenet_2_5_224_tf_no_top.h5"
    keras = cp.load(f"keras:MobileNet?alpha=0.25&weights={h5}")
    tfjs = cp.load(f"tfjs:{models / 'mobilenet_v1_025_tfjs'}", "tf")
    saved = cp.load(str(models / "mobilenet_v1_025_savedmodel"), "unit", trust_weights=True)
    assert isinstance(keras.spec.preprocess, PreprocessSpec)
    batch = photos(shared, keras.spec.preprocess)
    expected = features(keras, layer, batch)
    assert_same("mobilenet-tfjs-h5", features(tfjs, layer, batch), expected)
    (node,) = (row.name for row in saved.layers().find(f"*/{layer}/*") if row.kind == "Relu6")
    assert_same("mobilenet-savedmodel-h5", features(saved, node, batch), expected)


# --- SqueezeNet 1.1: Keras h5 = ONNX fp16 = PyTorch -------------------------------------------

BGR = PreprocessSpec(256, 224, "bilinear", (104.0, 117.0, 123.0), (1.0,) * 3, channels="BGR")
FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}


def keras_squeezenet() -> Any:
    """SqueezeNet 1.1 without its classifier, as the file's layer names and shapes draw it."""
    keras = import_keras()
    layers = keras.layers
    x = image = keras.Input((224, 224, 3))
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for number, width in FIRES.items():
        name = f"fire{number}"
        x = layers.Conv2D(width, 1, activation="relu", name=f"{name}.squeeze1x1")(x)
        left = layers.Conv2D(4 * width, 1, activation="relu", name=f"{name}.expand1x1")(x)
        right = layers.Conv2D(
            4 * width, 3, padding="same", activation="relu", name=f"{name}.expand3x3"
        )(x)
        x = layers.Concatenate(name=f"{name}.concat")([left, right])
        if number in (3, 5):
            x = layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
    return keras.Model(image, x)


def torch_squeezenet(shared: Path) -> Any:
    import torch

    file = shared / "models" / "squeezenet11" / "squeezenet1_1_torch.pth"
    network = import_with_shim("torchvision").models.squeezenet1_1(weights=None)
    network.load_state_dict(torch.load(file, weights_only=True))
    return network


# Where the three call the same map: Keras, ONNX, torchvision.
SQUEEZENET_LAYERS = [
    ("fire2.concat", "fire2/concat_1", "features.3"),
    ("fire5.concat", "fire5/concat_1", "features.7"),
    ("fire9.concat", "fire9/concat_1", "features.12"),
]


@pytest.fixture(scope="module")
def squeezenets() -> Callable[[Path], tuple[Backbone, Backbone, Backbone]]:
    done: list[tuple[Backbone, Backbone, Backbone]] = []

    def load(shared: Path) -> tuple[Backbone, Backbone, Backbone]:
        if not done:
            folder = shared / "models" / "squeezenet11"
            h5 = str(folder / "squeezenet11_notop_keras.h5")
            keras = cp.load(h5, BGR, build=keras_squeezenet)
            onnx = cp.load(str(folder / "squeezenet11_fp16.onnx"), BGR)
            done.append((keras, onnx, cp.load(torch_squeezenet(shared), "imagenet")))
        return done[0]

    return load


@pytest.mark.parametrize("names", SQUEEZENET_LAYERS)
def test_squeezenet(
    shared: Path,
    squeezenets: Callable[[Path], tuple[Backbone, Backbone, Backbone]],
    names: tuple[str, str, str],
) -> None:
    keras, onnx, torch = squeezenets(shared)
    batch = photos(shared, BGR)
    expected = features(keras, names[0], batch)
    assert_same("squeezenet-onnx-h5", features(onnx, names[1], batch), expected)
    assert_same("squeezenet-torch-h5", features(torch, names[2], batch), expected)


# --- basic-pitch: SavedModel = ONNX -----------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore::cutpoint.networks.layer_table.ClassProbabilities"
)  # meant here
def test_basic_pitch(shared: Path) -> None:
    """A tone of 440 Hz, in both: the same notes, contours and onsets, and the note is A4."""
    folder = shared / "models" / "basic_pitch"
    saved = cp.load(f"savedmodel:{folder / 'nmp'}", "none", trust_weights=True)
    onnx = cp.load(str(folder / "nmp.onnx"), "none")
    seconds = np.arange(43844) / 22050
    batch = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)[None, :, None]
    ends = {}
    for backbone in (saved, onnx):
        rows = [row for row in backbone.layers() if row.shape[1:] in ((172, 88), (172, 264))]
        rows = rows[-3:]
        cut = backbone.cut(*(row.name for row in rows), pool="none")
        ends[backbone.spec.source] = sorted(
            cut(batch).values(), key=lambda found: (found.shape, float(found.sum()))
        )
    for found, expected in zip(ends["savedmodel"], ends["onnx"], strict=True):
        assert_same("basic-pitch-savedmodel-onnx", found, expected)
    notes = max(
        (found for found in ends["onnx"] if found.shape[2] == 88), key=lambda f: float(f.sum())
    )
    assert int(notes[0].mean(0).argmax()) == 48  # 88 keys from A0: A4 is the 49th
