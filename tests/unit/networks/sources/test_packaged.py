"""The packaged weights are what they say, and are fed as they were trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from cutpoint.base.errors import BackboneNotFound, TapNotFound, WeightsError
from cutpoint.items.kinds.image import prepare_image
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources import load_backbone, packaged
from tests.unit.networks.sources.training import refused_after_a_step_of_training


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("packaged:efficientnet_lite0")


def photos() -> np.ndarray:
    """Two real photos that scikit-learn ships, 427×640."""
    return np.stack(load_sample_images().images)


def test_the_layer_table_is_that_of_efficientnet_lite0(backbone: Backbone) -> None:
    table = backbone.layers()
    # By hand: each convolution costs kernel × inputs a group × outputs × places it is put.
    by_hand = 0
    for name, module in backbone.network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            _, _, height, width = table[name].shape
            by_hand += module.weight.numel() * height * width
        elif isinstance(module, torch.nn.Linear):
            by_hand += module.weight.numel()
    assert table[-1].macs == by_hand
    assert table["conv_head"].params == 320 * 1280
    assert table["classifier"].params == 1280 * 1000 + 1000
    assert table["blocks.6"].shape == (None, 320, 7, 7)
    assert table["bn2"].shape == (None, 1280, 7, 7)
    assert table["conv_stem"].stride == 2
    assert table.get(index=-1).name == "classifier"
    assert table.auto_taps() == ("bn1", *(f"blocks.{stage}" for stage in range(7)), "bn2")


def test_after_training_it_is_no_longer_taken_for_the_packaged_network() -> None:
    refused_after_a_step_of_training(load_backbone("packaged:efficientnet_lite0"), "blocks.1")


def test_features_equal_timms_own_forward(backbone: Backbone) -> None:
    """Reference: timm 1.0.31 `forward_features` after timm's own transform; tolerance 1e-5."""
    from timm.data import create_transform

    transform = create_transform(224, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
    expected = torch.stack([transform(Image.fromarray(photo)) for photo in photos()])
    with torch.inference_mode():
        maps = backbone.network.eval().forward_features(expected).numpy()
    spec = backbone.spec.preprocess
    batch = np.stack([prepare_image(photo, spec)[0] for photo in photos()])
    found = backbone.cut("bn2", pool=["none", "gap"])(batch)
    scale = np.abs(maps).max()
    assert np.abs(found["bn2/none"] - maps).max() <= 1e-5 * scale
    assert np.abs(found["bn2/gap"] - maps.mean((2, 3))).max() <= 1e-5 * scale


def test_prepared_pixels_equal_timms_transform_to_the_bit(backbone: Backbone) -> None:
    from timm.data import create_transform

    transform = create_transform(224, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3)
    for photo in photos():
        expected = transform(Image.fromarray(photo)).numpy() * 127.5 + 127.5
        found = np.moveaxis(prepare_image(photo, backbone.spec.preprocess)[0], 2, 0)
        np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("photo", "name", "at_least"), [("kitten_224.png", "tabby", 0.6), ("fish.png", "tench", 0.4)]
)
def test_its_own_classifier_names_the_photos(
    backbone: Backbone, shared: Path, photo: str, name: str, at_least: float
) -> None:
    folder = shared / "models" / "squeezenet11"
    names = json.loads((folder / "imagenet_labels.json").read_text())
    names = names if isinstance(names, list) else [names[str(place)] for place in range(1000)]
    image, _ = prepare_image((folder / photo).read_bytes(), backbone.spec.preprocess)
    logits = backbone.cut("classifier", pool="none")(image[None])["classifier/none"][0]
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = int(probabilities.argmax())
    assert name in str(names[best])
    assert probabilities[best] > at_least


def test_weights_that_were_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "weights.pth"
    real = packaged._path("efficientnet_lite0", packaged._LITE0_FILE)
    changed.write_bytes(real.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(packaged, "_path", lambda name, file: changed)
    with pytest.raises(WeightsError, match="sha256"):
        packaged.load("efficientnet_lite0", LoadOptions()).layers()


@pytest.mark.parametrize("change", ["drop", "rename", "reshape"])
def test_weights_that_do_not_fit_are_refused(change: str) -> None:
    wanted = {"a.weight": torch.zeros(2, 3), "a.bias": torch.zeros(2)}
    stored = {"_a.weight": torch.zeros(2, 3), "_a.bias": torch.zeros(2)}
    assert set(packaged._matched(stored, wanted)) == set(wanted)
    if change == "drop":
        del stored["_a.bias"]
    elif change == "rename":
        stored = {"_a.bias": stored["_a.weight"], "_a.weight": stored["_a.bias"]}
    else:
        stored["_a.weight"] = torch.zeros(3, 2)
    with pytest.raises(WeightsError, match="Every tensor in its place"):
        packaged._matched(stored, wanted)


@pytest.mark.parametrize("name", ["packaged:resnet", "nowhere:x", "efficientnet_lite0"])
def test_unknown_names_are_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(BackboneNotFound, match=r"load\('packaged:efficientnet_lite0'\)"):
        load_backbone(name)


def test_unknown_taps_list_the_nearest(backbone: Backbone) -> None:
    with pytest.raises(TapNotFound, match=r'"blocks\.6"'):
        backbone.cut("blocks.7")
