"""``keras:``: applications, files, and files that must not be opened."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.base.spec import ArraySpec
from cutpoint.items.kinds import prepare_item
from cutpoint.items.reading import read_dataset
from cutpoint.networks.layer_table import ClassProbabilities
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.keras import _own_preprocess, _trained_side
from tests.conformance.networks.keras import functional, plain
from tests.conftest import shape_of

BATCH = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
APPLICATIONS = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "MobileNet",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "Xception",
]


@pytest.mark.parametrize("name", APPLICATIONS)
def test_preprocessing_is_what_the_application_does(name: str) -> None:
    """Reference: the application's own `preprocess_input`; tolerance 1e-4 on its scale."""
    make = getattr(import_keras().applications, name)
    spec = _own_preprocess(make, 32)
    module = sys.modules[make.__module__]
    expected = module.preprocess_input(BATCH.astype(np.float32), data_format="channels_last")
    seen = BATCH[..., ::-1] if spec.channels == "BGR" else BATCH
    np.testing.assert_allclose(
        (seen - np.array(spec.mean)) / np.array(spec.std), expected, atol=1e-4
    )


def test_an_unknown_application_lists_the_nearest() -> None:
    with pytest.raises(BackboneNotFound, match="Nearest: MobileNetV2"):
        cp.load("keras:MobileNetV9")


def test_an_unknown_argument_lists_the_known(tmp_path: Path) -> None:
    functional().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(UsageError, match="Arguments: side, weights"):
        cp.load(f"keras:MobileNet?alpha=0.25&depht=2&weights={tmp_path / 'a.weights.h5'}")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    functional().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match="don't fit"):
        cp.load(f"keras:MobileNet?alpha=0.25&weights={tmp_path / 'a.weights.h5'}")


def test_an_application_is_filled_from_a_file_with_and_without_its_classifier(
    tmp_path: Path,
) -> None:
    keras = import_keras()
    for top in (True, False):
        network = keras.applications.MobileNet(
            weights=None, alpha=0.25, include_top=top, input_shape=(64, 64, 3)
        )
        network.save_weights(tmp_path / f"{top}.weights.h5")
        name = f"keras:MobileNet?alpha=0.25&side=64&weights={tmp_path / f'{top}.weights.h5'}"
        backbone = cp.load(name)
        assert backbone.load_name == name.replace("&side=64&weights", "&side=64&weights")
        assert str(tmp_path) not in backbone.spec.id
        assert backbone.layers()[-1].name == ("predictions" if top else "conv_pw_13_relu")
        again = cp.load(backbone.load_name)
        assert again.spec == backbone.spec
        for ours, theirs in zip(backbone.network.weights, network.weights, strict=True):
            np.testing.assert_array_equal(plain(ours), plain(theirs))


def test_offline_weights_that_are_absent_are_an_error_not_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras' own download, up to the socket."""
    import socket

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    keras = import_keras()
    monkeypatch.setattr(keras.config, "keras_home", lambda: str(tmp_path), raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"weights of .* can't be loaded"):
        cp.load("keras:MobileNet?alpha=0.25&side=128")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_whole_model_in_a_file(tmp_path: Path, suffix: str) -> None:
    network = functional()
    network.save(tmp_path / f"net.{suffix}")
    backbone = cp.load(str(tmp_path / f"net.{suffix}"), preprocess="tf")
    assert backbone.spec.name == f"net.{suffix}"
    found = backbone.cut("fc", pool="none")(BATCH)["fc/none"]
    expected = plain(network((BATCH - 127.5) / 127.5, training=False))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_moving_a_file_changes_no_fingerprint_and_a_changed_weight_does(tmp_path: Path) -> None:
    network = functional()
    (tmp_path / "a").mkdir()
    network.save(tmp_path / "net.h5")
    one = cp.load(str(tmp_path / "net.h5"), "tf").spec
    (tmp_path / "net.h5").rename(tmp_path / "a" / "net.h5")
    assert cp.load(str(tmp_path / "a" / "net.h5"), "tf").spec == one
    network.get_layer("fc").bias.assign_add(np.ones(5, np.float32))
    network.save(tmp_path / "net.h5")
    assert cp.load(str(tmp_path / "net.h5"), "tf").spec != one


def test_weights_without_a_network_ask_for_it(tmp_path: Path) -> None:
    network = functional()
    network.save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(UsageError, match="build=make_network"):
        cp.load(str(tmp_path / "net.weights.h5"), preprocess="tf")
    backbone = cp.load(str(tmp_path / "net.weights.h5"), preprocess="tf", build=functional)
    assert backbone.layers()[-1].name == "fc"


# --- files that must not be opened: cases 52 and 53 of the bad inputs -------------------------


def lambda_model(path: Path, canary: Path) -> None:
    keras = import_keras()
    x = keras.Input((32, 32, 3))
    y = keras.layers.Lambda(lambda t: t * 2, output_shape=(32, 32, 3))(x)
    keras.Model(x, y).save(path)


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Path, Path], None]:
    """Return a writer of a ``.keras`` archive whose configuration was changed by `change`."""

    def write(path: Path, canary: Path) -> None:
        whole = path.with_name("whole.keras")
        functional().save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.namelist():
                data = old.read(member)
                if member == "config.json":
                    config = json.loads(data.decode().replace("CANARY", str(canary)))
                    change(config)
                    data = json.dumps(config).replace("CANARY", str(canary)).encode()
                new.writestr(member, data)

    return write


def conv(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["config"]["layers"][1]
    assert found["class_name"] == "Conv2D"
    return found


def foreign_module(config: dict[str, Any]) -> None:
    conv(config).update(module="os", class_name="system", config="touch CANARY")


def foreign_gadget(config: dict[str, Any]) -> None:
    conv(config)["config"]["activation"] = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }


def custom_layer(config: dict[str, Any]) -> None:
    conv(config).update(module="mine", class_name="Net", registered_name="mine>Net")


def tfsm_layer(config: dict[str, Any]) -> None:
    conv(config).update(class_name="TFSMLayer", config={"filepath": "CANARY", "name": "conv1"})


def climbing_name(config: dict[str, Any]) -> None:
    conv(config)["config"]["name"] = "../../CANARY"


def vocabulary(config: dict[str, Any]) -> None:
    conv(config).update(class_name="StringLookup", config={"vocabulary": "/etc/passwd"})


def slipping(path: Path, canary: Path) -> None:
    functional().save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"../../{canary.name}", "touched")


def bomb(path: Path, canary: Path) -> None:
    functional().save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", b"\0" * 200_000_000)


FORBIDDEN: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "lambda": (lambda_model, "Python code"),
    "foreign module": (edited(foreign_module), "os.system is not Keras' own"),
    "gadget": (edited(foreign_gadget), "get_file"),
    "custom layer": (edited(custom_layer), "mine>Net is not Keras' own"),
    "saved model inside": (edited(tfsm_layer), "TFSMLayer"),
    "climbing name": (edited(climbing_name), "which is a path"),
    "vocabulary file": (edited(vocabulary), "/etc/passwd"),
    "slipping member": (slipping, "leads out of the archive"),
    "bomb": (bomb, "declares 200000000 bytes"),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_an_archive_that_can_do_harm_is_refused(tmp_path: Path, kind: str) -> None:
    write, why = FORBIDDEN[kind]
    canary = tmp_path / "canary"
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(inner / "net.keras", canary)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WeightsError, match=why):
        cp.load(str(inner / "net.keras"), preprocess="tf")
    assert sorted(tmp_path.rglob("*")) == before
    assert not canary.exists()


def test_a_lambda_loads_when_it_is_trusted(tmp_path: Path) -> None:
    lambda_model(tmp_path / "net.keras", tmp_path)
    path = str(tmp_path / "net.keras")
    backbone = cp.load(path, preprocess="none", trust_weights=True)
    found = backbone.cut(-1, pool="none")(BATCH)
    np.testing.assert_allclose(next(iter(found.values())), 2.0 * BATCH)


def test_a_lambda_in_h5_is_refused(tmp_path: Path) -> None:
    """Keras' `safe_mode` once ignored this format (advisory 2025-9905)."""
    lambda_model(tmp_path / "net.h5", tmp_path)
    with pytest.raises(WeightsError, match="Lambda"):
        cp.load(str(tmp_path / "net.h5"), preprocess="tf")


def h5_with(change: Callable[[h5py.File], None], path: Path) -> None:
    functional().save(path)
    with h5py.File(path, "a") as file:
        change(file)


def external_link(file: h5py.File) -> None:
    file["model_weights"]["out"] = h5py.ExternalLink("/etc/other.h5", "/x")


def soft_link(file: h5py.File) -> None:
    file["model_weights"]["soft"] = h5py.SoftLink("/model_weights/conv1")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("raw", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def shape_bomb(file: h5py.File) -> None:
    file.create_dataset("huge", (1 << 40,), "f4", chunks=(1 << 10,), compression="gzip")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (4,))
    file.create_virtual_dataset("virtual", layout)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (external_storage, "stored in another file"),
        (virtual, "stored in another file"),
        (shape_bomb, "declares 4398046511104 bytes"),
    ],
)
def test_an_hdf5_file_that_reaches_out_or_swells_is_refused(
    tmp_path: Path, change: Callable[[h5py.File], None], why: str
) -> None:
    h5_with(change, tmp_path / "net.h5")
    with pytest.raises(WeightsError, match=why):
        cp.load(str(tmp_path / "net.h5"), preprocess="tf")


def test_a_few_zeros_that_were_never_written_are_no_bomb(tmp_path: Path) -> None:
    """HDF5 stores nothing of a bias that is as it was made: any ratio to that is infinite."""
    h5_with(lambda file: file.create_dataset("zeros", (1000,), "f4"), tmp_path / "net.h5")
    assert cp.load(str(tmp_path / "net.h5"), preprocess="tf").layers()


def test_a_bomb_is_refused_within_a_cap_of_memory(tmp_path: Path) -> None:
    """A fresh process that may not take 4 GB more; the dataset declares 4 TB."""
    h5_with(shape_bomb, tmp_path / "net.h5")
    code = f"""
import resource, cutpoint as cp
from cutpoint.networks.runtimes.keras import import_keras
import_keras()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30),) * 2)
try:
    cp.load({str(tmp_path / "net.h5")!r}, preprocess="tf")
except cp.errors.WeightsError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "refused", done.stderr


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str, keep: int) -> None:
    functional().save(tmp_path / f"net.{suffix}")
    data = (tmp_path / f"net.{suffix}").read_bytes()
    (tmp_path / f"net.{suffix}").write_bytes(data[:keep])
    with pytest.raises(WeightsError, match=f"net.{suffix}"):
        cp.load(str(tmp_path / f"net.{suffix}"), preprocess="tf")


def test_weights_missing_from_a_file_are_an_error(tmp_path: Path) -> None:
    functional().save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "a") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = [n for n in group.attrs["layer_names"] if n != "fc"]
    with pytest.raises(WeightsError, match="don't fit"):
        cp.load(str(tmp_path / "net.h5"), preprocess="tf")


# --- real weights ------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_kitten_is_a_tabby(shared: Path) -> None:
    """Reference: the file's own note, "kitten → tabby .74", by another decoder and resize."""
    models = shared / "models"
    file = models / "mobilenet_v1_025_keras" / "mobilenet_2_5_224_tf.h5"
    backbone = cp.load(f"keras:MobileNet?alpha=0.25&weights={file}")
    photo = (models / "squeezenet11" / "kitten_224.png").read_bytes()
    image = prepare_item(photo, backbone.spec.preprocess)[0]["image"]
    with pytest.warns(ClassProbabilities):
        cut = backbone.cut("predictions", pool="none")
    scores = cut(image[None])["predictions/none"][0]
    labels = json.loads((models / "squeezenet11" / "imagenet_labels.json").read_text())
    assert "tabby" in labels[str(int(scores.argmax()))]
    assert scores.max() == pytest.approx(0.74, abs=0.03)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "recipe", "n_outputs"),
    [
        ("vww_mobilenet_v1_025/vww_96.h5", "unit", 2),
        ("resnet8_cifar10/resnet8.h5", "none", 10),
        ("yamnet/yamnet_256_f32.h5", "none", 256),
    ],
)
def test_whole_models_of_keras_2_load(shared: Path, file: str, recipe: str, n_outputs: int) -> None:
    backbone = cp.load(str(shared / "models" / file), preprocess=recipe)
    assert backbone.layers()[-1].shape == (None, n_outputs)


@pytest.mark.shared
def test_resnet8_knows_cifar10(shared: Path) -> None:
    """Its labels are in CIFAR-10's own order, which is alphabetical; chance is .1."""
    backbone = cp.load(str(shared / "models/resnet8_cifar10/resnet8.h5"), preprocess="none")
    dataset = read_dataset(shared / "data" / "cifar10")
    items = dataset.only("test").items[::10]
    side = replace(backbone.spec.preprocess, fit="squash")
    batch = np.stack([prepare_item(item.payload.read_bytes(), side)[0]["image"] for item in items])
    with pytest.warns(ClassProbabilities):
        cut = backbone.cut(-1, pool="none")
    found = next(iter(cut(batch).values())).argmax(1)
    right = np.mean([dataset.classes[k] == i.label for k, i in zip(found, items, strict=True)])
    assert right > 0.6


def test_bytes_that_are_no_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO(b"PK\x03\x04 nonsense")
    (tmp_path / "net.keras").write_bytes(buffer.getvalue())
    with pytest.raises(WeightsError, match=r"no whole \.keras archive"):
        cp.load(str(tmp_path / "net.keras"), preprocess="tf")


def test_weights_of_a_deeper_network_are_refused(tmp_path: Path) -> None:
    """Keras' own reader takes what it knows and says nothing of the rest."""
    keras = import_keras()

    def dense(depth: int) -> Any:
        layers = [keras.layers.Dense(4) for _ in range(depth)]
        return keras.Sequential([keras.Input((4,)), *layers])

    dense(6).save_weights(tmp_path / "deep.weights.h5")
    spec = ArraySpec((4,))
    with pytest.raises(WeightsError, match="holds 120 numbers, the network 40"):
        cp.load(str(tmp_path / "deep.weights.h5"), spec, build=lambda: dense(2))
    assert cp.load(str(tmp_path / "deep.weights.h5"), spec, build=lambda: dense(6)).layers()


def test_one_file_of_weights_in_two_networks_is_two_specs(tmp_path: Path) -> None:
    keras = import_keras()

    def dense(activation: str) -> Any:
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, activation=activation)])

    dense("relu").save_weights(tmp_path / "w.weights.h5")
    path, spec = str(tmp_path / "w.weights.h5"), ArraySpec((4,))
    one, other = (cp.load(path, spec, build=lambda a=a: dense(a)).spec for a in ("relu", "tanh"))
    assert one != other


def test_a_network_that_was_told_not_to_scale_is_asked_about(tmp_path: Path) -> None:
    keras = import_keras()
    network = keras.applications.MobileNetV3Small(weights=None, include_preprocessing=False)
    network.save_weights(tmp_path / "v3.weights.h5")
    name = f"keras:MobileNetV3Small?include_preprocessing=false&weights={tmp_path}/v3.weights.h5"
    with pytest.raises(UsageError, match="preprocess="):
        cp.load(name)
    assert cp.load(name, preprocess="tf").spec.preprocess.mean == (127.5,) * 3


def test_without_its_classifier_a_network_keeps_its_size(tmp_path: Path) -> None:
    keras = import_keras()
    keras.applications.Xception(weights=None, include_top=False).save_weights(
        tmp_path / "x.weights.h5"
    )
    backbone = cp.load(f"keras:Xception?weights={tmp_path}/x.weights.h5")
    assert shape_of(backbone.spec.preprocess) == (299, 299, 3)


def test_a_path_with_odd_letters_loads_again(tmp_path: Path) -> None:
    keras = import_keras()
    network = keras.applications.MobileNet(weights=None, alpha=0.25, input_shape=(64, 64, 3))
    odd = tmp_path / "a+b & 100%"
    odd.mkdir()
    network.save_weights(odd / "m.weights.h5")
    quoted = str(odd).replace("%", "%25").replace("&", "%26")
    backbone = cp.load(f"keras:MobileNet?side=64&alpha=0.25&weights={quoted}/m.weights.h5")
    assert cp.load(backbone.load_name).spec == backbone.spec
    assert backbone.spec.name == "MobileNet?alpha=0.25&side=64&weights=m.weights.h5"


@pytest.mark.parametrize("config", ["1", "[]", "{}", "nonsense"])
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, config: str) -> None:
    functional().save(tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "a") as file:
        file.attrs["model_config"] = config
    with pytest.raises(WeightsError, match="configuration"):
        cp.load(str(tmp_path / "net.h5"), preprocess="tf")


def test_build_where_it_would_be_idle_is_refused() -> None:
    for name in ("packaged:efficientnet_lite0", "keras:MobileNet"):
        with pytest.raises(UsageError, match="would"):
            cp.load(name, build=functional)
    with pytest.raises(UsageError, match="go with a file"):
        cp.load(functional(), "tf", trust_weights=True)


@pytest.mark.parametrize(("name", "side"), [("Xception", 299), ("MobileNetV2", 224)])
def test_without_its_classifier_an_application_keeps_the_side_it_was_trained_on(
    name: str, side: int
) -> None:
    """Keras leaves the input open then; 299 is Keras' own figure."""
    make = getattr(import_keras().applications, name)
    assert _trained_side(make, name, {"include_top": False}) == side
