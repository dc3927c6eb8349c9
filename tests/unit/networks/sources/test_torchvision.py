"""torchvision's networks: the real loading code, from the folder torch keeps weights in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.items.kinds.image import prepare_image
from cutpoint.networks.backbone import LoadOptions
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.sources import load_backbone
from tests.conftest import shape_of
from tests.unit.networks.sources.training import refused_after_a_step_of_training

models = import_with_shim("torchvision").models


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def put(checkpoints: Path, name: str, state: dict[str, torch.Tensor]) -> Path:
    path = checkpoints / Path(models.get_model_weights(name).DEFAULT.url).name
    torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "resnet18"])
def test_features_equal_torchvisions_own_with_its_own_transforms(
    checkpoints: Path, name: str
) -> None:
    """Reference: torchvision 0.28 `weights.transforms()` and `create_feature_extractor`; 1e-5."""
    torch.manual_seed(0)
    network = models.get_model(name, weights=None).eval()
    put(checkpoints, name, network.state_dict())
    backbone = load_backbone(f"torchvision:{name}")
    layers = backbone.layers().auto_taps()
    photos = load_sample_images().images
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.inference_mode():
        batch = torch.stack([transforms(Image.fromarray(photo)) for photo in photos])
        expected = create_feature_extractor(network, list(layers))(batch)
    prepared = np.stack([prepare_image(photo, backbone.spec.preprocess)[0] for photo in photos])
    found = backbone.cut(pool="none")(prepared)
    assert len(layers) >= 4
    for layer in layers:
        truth = expected[layer].numpy()
        error = np.abs(found[f"{layer}/none"] - truth).max()
        assert error <= 1e-5 * max(np.abs(truth).max(), 1e-3), layer


def test_after_training_it_is_no_longer_taken_for_torchvisions_network(checkpoints: Path) -> None:
    put(checkpoints, "squeezenet1_1", models.squeezenet1_1(weights=None).state_dict())
    refused_after_a_step_of_training(load_backbone("torchvision:squeezenet1_1"), "features.3")


def test_weights_that_do_not_fit_are_never_loaded_in_part(checkpoints: Path) -> None:
    state = models.squeezenet1_1(weights=None).state_dict()
    state.pop("features.0.weight")
    put(checkpoints, "squeezenet1_1", state)
    with pytest.raises(WeightsError, match="does not fit backbone"):
        load_backbone("torchvision:squeezenet1_1").layers()


def test_nan_weights_are_refused(checkpoints: Path) -> None:
    state = models.squeezenet1_1(weights=None).state_dict()
    state["features.0.weight"][0, 0, 0, 0] = float("nan")
    put(checkpoints, "squeezenet1_1", state)
    with pytest.raises(WeightsError, match=r"features\.0\.weight"):
        load_backbone("torchvision:squeezenet1_1").layers()


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(
    checkpoints: Path, tmp_path: Path
) -> None:
    class Canary:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "canary"), "w"))

    put(checkpoints, "squeezenet1_1", {"x": Canary()})
    with pytest.raises(WeightsError, match="does not fit backbone"):
        load_backbone("torchvision:squeezenet1_1").layers()
    assert not (tmp_path / "canary").exists()


def test_other_weights_are_another_spec(checkpoints: Path) -> None:
    put(checkpoints, "squeezenet1_1", models.squeezenet1_1(weights=None).state_dict())
    one = load_backbone("torchvision:squeezenet1_1").spec
    put(checkpoints, "squeezenet1_1", models.squeezenet1_1(weights=None).state_dict())
    assert load_backbone("torchvision:squeezenet1_1").spec != one


def test_absent_weights_are_downloaded_by_torch_and_a_failure_is_told(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def no_network(url: str, path: str, prefix: str) -> None:
        asked.append((Path(url).name, Path(path).parent, prefix))
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(WeightsError, match="Put the file there yourself"):
        load_backbone("torchvision:squeezenet1_1")
    assert asked == [("squeezenet1_1-b8a52dc0.pth", checkpoints, "b8a52dc0")]


def test_an_unknown_network_lists_the_nearest() -> None:
    with pytest.raises(BackboneNotFound, match="resnet50"):
        load_backbone("torchvision:resnet51")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("n_classes", [1000, 7])
def test_weights_of_a_file_fill_the_network(tmp_path: Path, suffix: str, n_classes: int) -> None:
    network = models.squeezenet1_1(weights=None, num_classes=n_classes).eval()
    path = tmp_path / f"my weights{suffix}"
    state = network.state_dict()
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    backbone = load_backbone(f"torchvision:squeezenet1_1?weights={path}")
    assert backbone.spec.name == f"squeezenet1_1?weights=my%20weights{suffix}"
    assert load_backbone(backbone.load_name).spec == backbone.spec
    # SqueezeNet 1.1 has one set of weights at torchvision, so one way to be fed.
    known = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    assert shape_of(backbone.spec.preprocess) == (known.crop_size[0],) * 2 + (3,)
    batch = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    mean, std = ([255 * value for value in each] for each in (known.mean, known.std))
    fed = torch.from_numpy(((batch - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        truth = network(fed).numpy()
    found = backbone.cut(-1, pool="none")(batch).popitem()[1].reshape(truth.shape)
    np.testing.assert_allclose(found, truth, atol=1e-5 * np.abs(truth).max())


def test_weights_that_were_fed_in_one_of_several_ways_ask_which(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    torch.save(models.resnet50(weights=None).state_dict(), path)
    with pytest.raises(UsageError, match="shorter side 232") as caught:
        load_backbone(f"torchvision:resnet50?weights={path}")
    assert "shorter side 256" in caught.value.got
    options = LoadOptions("imagenet(160)")
    assert (
        load_backbone(f"torchvision:resnet50?weights={path}", options).spec.preprocess.crop_px
        == 160
    )


@pytest.mark.parametrize("query", ["weight=x.pth", "weights=", "weights=x.pth&side=3"])
def test_an_argument_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match="one argument is weights"):
        load_backbone(f"torchvision:resnet18?{query}")


def test_weights_of_another_network_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(models.resnet18(weights=None).state_dict(), path)
    with pytest.raises(WeightsError, match="does not fit backbone"):
        load_backbone(f"torchvision:squeezenet1_1?weights={path}")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_the_input_transform_of_torchvisions_own_weights_is_there(
    checkpoints: Path, name: str
) -> None:
    """Reference: torchvision's own builder, given the same file; 1e-5."""
    blank = models.get_model(name, weights=None, init_weights=False)
    put(checkpoints, name, blank.state_dict())
    network = models.get_model(name, weights="DEFAULT").eval()
    assert network.transform_input
    backbone = load_backbone(f"torchvision:{name}")
    assert backbone.network.transform_input
    side = backbone.spec.preprocess.crop_px
    batch = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    known = models.get_model_weights(name).DEFAULT.transforms()
    mean, std = ([255 * value for value in each] for each in (known.mean, known.std))
    fed = torch.from_numpy(((batch - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        truth = network(fed).numpy()
    found = backbone.cut("fc", pool="none")(batch)["fc/none"]
    np.testing.assert_allclose(found, truth, atol=1e-5 * np.abs(truth).max())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("photo", "name", "at_least"), [("kitten_224.png", "tabby", 0.8), ("fish.png", "tench", 0.2)]
)
def test_real_squeezenet_names_the_photos(
    checkpoints: Path, shared: Path, photo: str, name: str, at_least: float
) -> None:
    """SOURCES.md: kitten → tabby; torchvision itself gives tabby .90, and for the fish
    barracouta .75 before tench .23 (a photo of 224 px is resized to 256 and cropped)."""
    folder = shared / "models" / "squeezenet11"
    shutil.copy(folder / "squeezenet1_1_torch.pth", checkpoints / "squeezenet1_1-b8a52dc0.pth")
    backbone = load_backbone("torchvision:squeezenet1_1")
    image, _ = prepare_image((folder / photo).read_bytes(), backbone.spec.preprocess)
    logits = backbone.cut(-1, pool="none")(image[None]).popitem()[1].reshape(-1)
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    names = json.loads((folder / "imagenet_labels.json").read_text())
    (place,) = (int(p) for p in np.argsort(-probabilities)[:2] if name in names[str(p)])
    assert probabilities[place] > at_least
