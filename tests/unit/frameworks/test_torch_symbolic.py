"""A module that ends at a layer and trains with a new head."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own habit
from torch import nn

import cutpoint as cp
from cutpoint.spec import PreprocessSpec

SPEC = PreprocessSpec(16, 16, "bilinear", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.fc = nn.Conv2d(4, 6, 3, padding=1), nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.fc(x.mean((2, 3)))


def small() -> Small:
    torch.manual_seed(0)
    return Small().eval()


def images(n_items: int = 8) -> torch.Tensor:
    return torch.randn(n_items, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", ["conv2", "relu_1"])
def test_it_ends_at_the_layer_and_holds_nothing_after(layer: str) -> None:
    network = small()
    part = cp.load(network, SPEC).symbolic(layer)
    with torch.inference_mode():
        x = F.relu(network.bn1(network.conv1(images())))
        x = network.conv2(x)
        expected = F.relu(x) if layer == "relu_1" else x
        torch.testing.assert_close(part(images()), expected, rtol=1e-5, atol=1e-6)
    assert not any("fc" in name for name, _ in part.named_parameters())


@pytest.mark.parametrize("layer", ["conv2", "relu_1"])
def test_training_it_trains_the_network(layer: str) -> None:
    network = small()
    part = cp.load(network, SPEC).symbolic(layer)
    model = nn.Sequential(part, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)).train()
    assert not network.training
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    labels = torch.tensor([0, 1] * 4)
    x = images() + labels.view(-1, 1, 1, 1)  # brighter if 1
    optimiser = torch.optim.SGD(model.parameters(), 0.5)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    after = network.state_dict()
    trained = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"conv1.weight", "conv2.weight", "bn1.weight", "bn1.running_mean"} <= trained
    assert not {"fc.weight", "fc.bias"} & trained
    assert part.get_parameter(_path(part, "conv1.weight")) is network.conv1.weight


def _path(part: nn.Module, end: str) -> str:
    return next(name for name, _ in part.named_parameters() if name.endswith(end))


def test_it_is_in_the_networks_own_mode() -> None:
    assert not cp.load(small(), SPEC).symbolic("conv2").training
    assert cp.load(small().train(), SPEC).symbolic("conv2").training


@pytest.mark.parametrize("layer", ["conv2", "relu_1"])
def test_a_copy_trains_apart(layer: str) -> None:
    """As the moving averages of `torch.optim.swa_utils` are kept."""
    network = small()
    part = cp.load(network, SPEC).symbolic(layer)
    twin = copy.deepcopy(part)
    before = part(images()).detach()
    torch.testing.assert_close(twin(images()), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(part(images()), before)
    assert not torch.allclose(twin(images()), before)
    averaged = torch.optim.swa_utils.AveragedModel(part)
    averaged.update_parameters(part)
    torch.testing.assert_close(averaged(images()), before)


@pytest.mark.parametrize("layer", ["conv2", "relu_1"])
def test_its_weights_can_be_saved(layer: str, tmp_path: Path) -> None:
    part = cp.load(small(), SPEC).symbolic(layer)
    truth = part(images()).detach()
    torch.save(part.state_dict(), tmp_path / "weights.pt")
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.zero_()
    part.load_state_dict(torch.load(tmp_path / "weights.pt"))
    torch.testing.assert_close(part(images()), truth)


def test_up_to_a_module_it_can_be_saved_whole(tmp_path: Path) -> None:
    part = cp.load(small(), SPEC).symbolic("conv2")
    torch.save(part, tmp_path / "whole.pt")
    whole = torch.load(tmp_path / "whole.pt", weights_only=False)
    torch.testing.assert_close(whole(images()), part(images()))
