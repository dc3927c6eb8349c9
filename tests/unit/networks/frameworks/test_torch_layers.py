from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own habit
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import UsageError
from cutpoint.items.kinds.image import recipe_named
from cutpoint.networks.frameworks.torch import list_layers

SMALL = recipe_named("tf", 16)


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.skip = nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.block = nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.skip(self.act(self.conv(x))))
        x = self.act(self.block(x))
        return self.fc(self.pool(x).flatten(1))


def test_names_shapes_strides_params_and_macs() -> None:
    table = list_layers(Toy(), SMALL, "toy")
    rows = {row.name: row for row in table}
    assert [row.name for row in table] == [
        "conv",
        "act",
        "block.0",
        "block.1",
        "block",
        "act_1",
        "pool",
        "flatten",
        "fc",
    ]
    assert rows["conv"].shape == (None, 8, 8, 8)
    assert rows["conv"].stride == 2
    assert rows["conv"].params == 3 * 8 * 9
    conv = 8 * 8 * 8 * 3 * 9
    assert rows["conv"].macs == conv
    assert rows["block"].macs == conv + 8 * 8 * 8 * 4
    assert rows["fc"].macs == conv + 8 * 8 * 8 * 4 + 40
    assert rows["fc"].stride is None
    assert rows["block"].is_block
    assert rows["fc"].kind == "Linear"


def test_noops_are_left_out() -> None:
    table = list_layers(Toy(), SMALL, "toy")
    assert not {"skip", "drop"} & {row.name for row in table}


def test_listing_leaves_the_network_as_it_was() -> None:
    network = Toy().train()
    network.block.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    list_layers(network, SMALL, "toy")
    assert network.training
    assert not network.block.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(not module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1"])
def test_macs_and_parameters_equal_those_torchvision_publishes(name: str) -> None:
    """Reference: `meta` of torchvision 0.28's weights, ``_ops`` in GMACs at 224×224."""
    from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

    models = import_with_shim("torchvision").models
    meta = models.get_model_weights(name).DEFAULT.meta
    network = models.get_model(name, weights=None)
    table = list_layers(network, recipe_named("imagenet"), name)
    assert table[-1].macs / 1e9 == pytest.approx(meta["_ops"], abs=0.001)
    assert sum(p.numel() for p in network.parameters()) == meta["num_params"]


class TakesTwo(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (TakesTwo(), "TypeError"),
        (nn.Sequential(nn.Conv2d(1, 4, 3)), "channels"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)).half(), r"type(.|\n)*network\.float\(\)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)).bfloat16(), r"type(.|\n)*bfloat16; type:  cp\.load"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)).double(), r"type(.|\n)*network\.float\(\)"),
    ],
)
def test_a_network_that_can_not_take_its_input_says_what_it_was_fed(
    network: nn.Module, why: str
) -> None:
    with pytest.raises(UsageError, match=rf"fed one item of 3×16×16 float32\.\n.*{why}"):
        list_layers(network, SMALL, "toy")


class Scripted(torch.jit.ScriptModule):
    pass


def test_scripted_modules_are_refused() -> None:
    with pytest.raises(UsageError, match="was scripted from"):
        list_layers(Scripted(), SMALL, "toy")


class HalfInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).bfloat16()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.bfloat16())


def test_networks_of_half_precision_inside_have_features_of_single() -> None:
    cut = cp.load(HalfInside(), SMALL).cut("conv", pool=["gap", "gem", "none"])
    found = cut(np.zeros((2, 16, 16, 3), np.uint8))
    assert {each.dtype.name for each in found.values()} == {"float32"}
    assert cut.state_sha256()


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(F.dropout(self.conv(x).mean((2, 3))))


class TokensFirst(nn.Module):
    """Outputs whose first axis is not the items', and one without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = self.conv(x).flatten(2).permute(2, 0, 1)
        return tokens, tokens.sum()


def test_outputs_of_any_shape_are_compared_whole() -> None:
    assert "conv" in {row.name for row in list_layers(TokensFirst(), SMALL, "toy")}


def test_chance_in_inference_mode_is_refused_where_it_begins() -> None:
    with pytest.raises(UsageError, match='from layer "fc" on'):
        list_layers(Random(), SMALL, "toy")
