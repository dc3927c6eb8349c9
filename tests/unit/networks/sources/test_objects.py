from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import UsageError, WeightsError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from cutpoint.networks.sources.torch_weights import state_sha256
from tests.conftest import noisy_image, shape_of

SMALL = PreprocessSpec(16, 16, "bilinear", (127.5,) * 3, (127.5,) * 3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU())


def test_a_users_own_module_goes_all_the_way(tmp_path: Path) -> None:
    pixels = np.stack([noisy_image(row % 3, row) for row in range(60)])
    backbone = cp.load(network(), preprocess=SMALL)
    model = cp.fit(pixels, tmp_path / "m", backbone, labels=["r", "g", "b"] * 20, quiet=True)
    assert model.card.extraction["engine"] == "openvino"
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.8
    again = cp.load_predictor(tmp_path / "m", cp.load(network(), preprocess=SMALL))
    assert cp.predict(again, pixels[:9], quiet=True) == cp.predict(model, pixels[:9], quiet=True)


def test_preprocessing_is_never_guessed() -> None:
    with pytest.raises(UsageError, match="preprocess='imagenet'"):
        cp.load(network())
    with pytest.raises(UsageError, match="Recipes: imagenet, tf, caffe, unit, none"):
        cp.load(network(), preprocess="inception")


def test_the_named_recipes_are_those_of_the_field() -> None:
    """Reference: the transforms torchvision 0.28 keeps with its ResNet-18 V1 weights."""
    models = import_with_shim("torchvision").models
    reference = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    recipe = cp.load(network(), preprocess="imagenet").spec.preprocess
    assert recipe.mean == pytest.approx([255 * value for value in reference.mean])
    assert recipe.std == pytest.approx([255 * value for value in reference.std])
    assert (recipe.resize_px, recipe.crop_px) == (reference.resize_size[0], reference.crop_size[0])
    assert recipe.interpolation == reference.interpolation.value


def test_weights_and_preprocessing_are_part_of_the_spec() -> None:
    one = cp.load(network(), preprocess="imagenet").spec
    assert one == cp.load(network(), preprocess="imagenet").spec
    assert one != cp.load(network(), preprocess="tf").spec
    changed = network()
    with torch.no_grad():
        changed[0].bias += 1
    assert one != cp.load(changed, preprocess="imagenet").spec


def test_nan_weights_are_refused() -> None:
    broken = network()
    with torch.no_grad():
        broken[2].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"2\.weight"):
        cp.load(broken, preprocess="imagenet")


def test_networks_with_equal_weights_differ_by_their_modules() -> None:
    conv = nn.Conv2d(3, 4, 3)
    acts = (nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.1), nn.LeakyReLU(0.2))
    specs = [cp.load(nn.Sequential(conv, act), preprocess=SMALL).feature_spec() for act in acts]
    assert len({spec.fingerprint() for spec in specs}) == 4


def test_an_address_in_memory_is_no_part_of_the_digest() -> None:
    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.function = nn.Conv2d(3, 4, 3), lambda x: x

        def extra_repr(self) -> str:
            return f"function={self.function}"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.function(self.conv(x))

    one, two = Calls(), Calls()
    two.load_state_dict(one.state_dict())
    assert state_sha256(one) == state_sha256(two)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_weights_of_every_type_have_a_digest(kind: torch.dtype) -> None:
    one, two = nn.Module(), nn.Module()
    one.register_buffer("held", torch.ones((), dtype=kind))
    two.register_buffer("held", torch.zeros((), dtype=kind))
    assert state_sha256(one) != state_sha256(two)


def test_a_mask_may_be_infinite_but_not_nan() -> None:
    masked = network()
    masked.register_buffer("mask", torch.full((4, 4), float("-inf")).triu(1))
    cp.load(masked, preprocess=SMALL)
    masked.mask[0, 0] = float("nan")
    with pytest.raises(WeightsError, match="mask"):
        cp.load(masked, preprocess=SMALL)


def test_lazy_modules_are_refused_until_they_ran() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 3))
    with pytest.raises(WeightsError, match="lazy"):
        cp.load(lazy, preprocess=SMALL)
    lazy(torch.zeros(1, 3, 16, 16))
    assert len(cp.load(lazy, preprocess=SMALL).layers()) == 1


def test_a_network_changed_after_loading_is_to_be_loaded_anew() -> None:
    changing = network()
    backbone = cp.load(changing, preprocess=SMALL)
    before = backbone.feature_spec(["1"], ["gap"])
    with torch.no_grad():
        changing[0].weight.mul_(3)
    for ask in (backbone.feature_spec, backbone.cut):
        with pytest.raises(WeightsError, match=r"backbone = cp\.load\(backbone\.network"):
            ask()
    anew = cp.load(changing, preprocess=SMALL)
    assert anew.cut("1")
    assert anew.feature_spec(["1"], ["gap"]).fingerprint() != before.fingerprint()


@pytest.mark.parametrize(
    ("said", "side"),
    [
        ({"pretrained_cfg": {"input_size": (3, 32, 32)}}, 32),  # as timm's networks say it
        ({"config": SimpleNamespace(image_size=96)}, 96),  # as those of transformers do
        ({"config": SimpleNamespace(image_size=[64, 64])}, 64),
        ({"config": SimpleNamespace(hidden_size=8)}, 224),
        ({}, 224),
    ],
)
def test_a_recipe_takes_the_side_a_network_says_it_was_trained_on(
    said: dict[str, object], side: int
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    for name, value in said.items():
        setattr(network, name, value)
    assert shape_of(cp.load(network, "imagenet").spec.preprocess) == (side, side, 3)
    assert shape_of(cp.load(network, "imagenet(160)").spec.preprocess) == (160, 160, 3)


@pytest.mark.parametrize(
    ("layer", "is_advised"),
    [
        (torch.nn.Conv2d(3, 4, 3), True),
        (torch.nn.Conv2d(1, 4, 3), False),
        (torch.nn.Conv1d(3, 4, 3), False),
        (torch.nn.Linear(3, 4), False),
        (torch.nn.Embedding(3, 4), False),
    ],
)
def test_imagenet_is_advised_to_networks_of_colour_images_alone(
    layer: torch.nn.Module, is_advised: bool
) -> None:
    with pytest.raises(UsageError) as caught:
        cp.load(torch.nn.Sequential(layer), None)
    assert ("imagenet" in str(caught.value)) == is_advised
