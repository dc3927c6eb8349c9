"""Which axis is which, told by shapes and modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cutpoint.base.spec import ArraySpec, PreprocessSpec, TapSpec
from cutpoint.networks.frameworks.torch import TorchCut, list_layers
from cutpoint.networks.frameworks.torch.layout import layouts, stride_of
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

SPEC = PreprocessSpec(64, 64, "bilinear", (120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
BATCH = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
SQUARE = (64, 64)


def test_the_pools_of_swin_run_over_its_space() -> None:
    """torchvision's Swin gives NHWC; the reference is its own `forward`, hooked by hand."""
    torch.manual_seed(0)
    network = import_with_shim("torchvision").models.swin_t(weights=None).eval()
    seen: dict[str, torch.Tensor] = {}
    for name in ("features.0.0", "features.3"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    mean, std = np.array(SPEC.mean), np.array(SPEC.std)
    with torch.inference_mode():
        network(torch.from_numpy(np.moveaxis((BATCH - mean) / std, 3, 1).astype(np.float32)))
    table = list_layers(network, SPEC, "swin_t")
    assert table["features.0.0"].layout == "NCHW"
    assert table["features.3"].layout == "NHWC"
    assert table["features.3"].channels == 192
    assert table["features.3"].stride == 8
    found = TorchCut(
        network, SPEC, [TapSpec("features.0.0", "gap"), TapSpec("features.3", "gap")], table
    )(BATCH)
    for name, axes in (("features.0.0", (2, 3)), ("features.3", (1, 2))):
        truth = seen[name].mean(axes).numpy()
        assert np.abs(found[f"{name}/gap"] - truth).max() <= 1e-5 * np.abs(truth).max()


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(1, 8, 16, 16)], ["NCHW"]),
        ([(1, 16, 16, 8)], ["NHWC"]),
        ([(1, 16, 16, 16)], ["NCHW"]),  # nothing tells
        ([(1, 32, 32, 8), (1, 16, 16, 16)], ["NHWC", "NHWC"]),  # as the other one
        ([(1, 512, 1, 1), (1, 512)], ["NCHW", "NC"]),
        ([(1, 3, 17, 16)], [""]),  # heads × tokens × channels is no map
        ([(1, 2, 3, 4, 5)], [""]),
    ],
)
def test_space_is_the_two_axes_that_shrink_together(
    shapes: list[tuple[int, ...]], expected: list[str]
) -> None:
    assert layouts([(shape, None) for shape in shapes], SQUARE) == expected


def test_space_of_images_that_are_not_square() -> None:
    outputs = [((1, 8, 48, 32), None), ((1, 24, 16, 8), None), ((1, 12, 49, 32), None)]
    assert layouts(outputs, (96, 64)) == ["NCHW", "NHWC", "NCHW"]


def test_attention_between_tokens_is_no_map() -> None:
    tokens = ((1, 17, 32), nn.LayerNorm(32))
    assert layouts([tokens, ((1, 2, 17, 17), None)], SQUARE) == ["NTC", ""]


class Attention(nn.Module):
    """A softmax over tokens × tokens that is a module, as in many networks of people's own."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.qkv = nn.Conv2d(3, 16, 16, 16), nn.Linear(16, 48)
        self.softmax, self.out = nn.Softmax(dim=-1), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unflatten(2, (3, 2, 8)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = self.softmax(q @ k.transpose(-1, -2)) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


def test_attention_by_a_module_is_no_map_but_maps_of_as_many_pixels_are() -> None:
    table = list_layers(Attention(), SPEC, "net")
    assert table["softmax"].shape == (None, 2, 16, 16)
    assert table["softmax"].layout == ""
    assert [row.name for row in table.maps()] == ["patches"]
    tokens = ((1, 16, 32), nn.LayerNorm(32))
    for module in (nn.Conv2d(3, 8, 1), nn.MaxPool2d(2), nn.BatchNorm2d(8)):
        assert layouts([tokens, ((1, 8, 16, 16), module)], SQUARE) == ["NTC", "NCHW"]


def test_tokens_before_they_are_turned_have_their_channels_first() -> None:
    """As in every vision transformer: ``patches.flatten(2).transpose(1, 2)``."""
    outputs = [((1, 32, 16), None), ((1, 16, 32), None), ((1, 16, 32), nn.LayerNorm(32))]
    assert layouts(outputs, SQUARE) == ["NCT", "NTC", "NTC"]


def test_signals_pool_over_time() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 6, 3), nn.ReLU())
    spec = ArraySpec((2, 20))
    table = list_layers(network, spec, "signal")
    assert [row.layout for row in table] == ["NCT", "NCT"]
    assert [row.stride for row in table] == [None, None]
    batch = np.random.default_rng(0).normal(size=(4, 2, 20)).astype(np.float32)
    found = TorchCut(network, spec, [TapSpec("1", "gap")], table)(batch)["1/gap"]
    with torch.inference_mode():
        truth = network(torch.from_numpy(batch)).mean(2).numpy()
    np.testing.assert_allclose(found, truth, rtol=1e-5)


def test_strides_belong_to_maps_alone() -> None:
    assert stride_of((1, 8, 16, 16), "NCHW", SQUARE) == 4
    assert stride_of((1, 16, 16, 8), "NHWC", SQUARE) == 4
    assert stride_of((1, 8, 1, 1), "NCHW", SQUARE) is None
    assert stride_of((1, 17, 32), "NTC", SQUARE) is None
    assert stride_of((1, 8, 16, 16), "NCHW", None) is None
