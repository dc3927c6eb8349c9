"""timm's networks: its own loading code, from a local folder and up to the download."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.items.kinds.image import prepare_image
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from tests.unit.networks.sources.training import refused_after_a_step_of_training

timm = import_with_shim("timm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small timm network with seeded weights, saved as timm saves models for a hub."""
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_050", pretrained=False)
    timm.models.save_for_hf(network, str(tmp_path / "net"), model_config={})
    return tmp_path / "net"


def test_features_equal_timms_forward_intermediates_after_its_own_transform(folder: Path) -> None:
    """Reference: timm 1.0.31 `create_transform`, `forward_intermediates`; tolerance 1e-5."""
    backbone = cp.load(f"timm:local-dir:{folder}")
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(network)
    transform = timm.data.create_transform(**config, is_training=False)
    photos = load_sample_images().images
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(photo)) for photo in photos])
        _, maps = network.forward_intermediates(batch)
    layers = [f"blocks.{stage}" for stage in (0, 1, 3, 5)]
    assert [row["module"] for row in network.feature_info][-4:] == ["blocks.0", *layers[1:]]
    prepared = np.stack([prepare_image(photo, backbone.spec.preprocess)[0] for photo in photos])
    found = backbone.cut(*layers, pool="none")(prepared)
    for layer, truth in zip(layers, maps[-4:], strict=True):
        error = np.abs(found[f"{layer}/none"] - truth.numpy()).max()
        assert error <= 1e-5 * float(truth.abs().max()), layer


def test_after_training_it_is_no_longer_taken_for_timms_network(folder: Path) -> None:
    refused_after_a_step_of_training(cp.load(f"timm:local-dir:{folder}"), "blocks.1")


def test_a_predictor_finds_its_folder_from_anywhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    backbone = cp.load("timm:local-dir:net", preprocess="unit")
    assert backbone.spec.name == "local-dir:net"
    assert backbone.load_name == f"timm:local-dir:{folder.resolve()}"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3)).astype(np.uint8)
    labels = ["dim", "bright"] * 12
    cp.fit(pixels, tmp_path / "m", backbone, taps="conv_stem", labels=labels, quiet=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cp.load_predictor(tmp_path / "m").backbone.spec == backbone.spec


def test_weights_that_can_not_be_had_are_an_error_never_random_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def no_network(*arguments: object, **options: object) -> str:
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", no_network)
    with pytest.raises(WeightsError, match="can't be loaded\\.\ntimm says: no network"):
        cp.load("timm:mobilenetv3_small_050")
    assert asked


def test_a_folder_without_all_weights_is_refused(folder: Path) -> None:
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    state.pop("conv_stem.weight")
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="Missing key"):
        cp.load(f"timm:local-dir:{folder}")


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(folder: Path, tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return (open, (str(tmp_path / "canary"), "w"))

    torch.save({"x": Canary()}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="weights_only"):
        cp.load(f"timm:local-dir:{folder}")
    assert not (tmp_path / "canary").exists()


def test_preprocessing_that_can_not_be_followed_exactly_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["crop_mode"] = "squash"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match='crop mode "squash"'):
        cp.load(f"timm:local-dir:{folder}")


def test_an_unknown_network_lists_the_nearest() -> None:
    with pytest.raises(BackboneNotFound, match="mobilenetv3_small_050"):
        cp.load("timm:mobilenetv3_small_051")
