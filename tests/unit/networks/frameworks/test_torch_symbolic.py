"""A module that ends at a layer and trains with a new head."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own habit
from torch import nn

import cutpoint as cp
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import ArraySpec, PreprocessSpec

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
    part = cp.load(network, SPEC).symbolic(layer, trainable=True)
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


def test_trainable_it_is_in_the_networks_own_mode() -> None:
    assert not cp.load(small(), SPEC).symbolic("conv2", trainable=True).training
    assert cp.load(small().train(), SPEC).symbolic("conv2", trainable=True).training


class Dropping(Small):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(F.relu(self.bn1(self.conv1(x))))
        return self.fc(F.relu(self.conv2(x)).mean((2, 3)))


@pytest.mark.parametrize("layer", ["conv2", "relu_1"])
def test_it_comes_frozen_and_a_head_trains_on_what_a_cut_gives(layer: str) -> None:
    torch.manual_seed(0)
    network = Dropping().train()  # as it may come
    backbone = cp.load(network, SPEC)
    part = backbone.symbolic(layer)
    assert list(part.parameters())
    assert not any(parameter.requires_grad for parameter in part.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    before = copy.deepcopy(network.state_dict())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2))
    model = nn.Sequential(part, head).train()
    optimiser = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.1)
    weight = head[2].weight.detach().clone()
    for _ in range(3):
        optimiser.zero_grad()
        model(images()).sum().backward()
        optimiser.step()
    assert not torch.equal(head[2].weight, weight)
    assert model.training
    assert not any(module.training for module in part.modules())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in network.parameters())
    network.eval()
    x = F.relu(network.bn1(network.conv1(images())))
    x = network.conv2(x)
    torch.testing.assert_close(part(images()), F.relu(x) if layer == "relu_1" else x)
    assert backbone.cut(layer)  # nothing was changed


def test_frozen_it_follows_the_network_and_shares_its_memory() -> None:
    network = small()
    part = cp.load(network, SPEC).symbolic("conv2")
    assert {each.data_ptr() for each in part.parameters()} <= {
        each.data_ptr() for each in network.parameters()
    }
    before = part(images())
    with torch.no_grad():
        network.conv1.weight.mul_(2)
    assert not torch.allclose(part(images()), before)


def test_a_tied_or_recurrent_weight_is_frozen_wherever_it_is_held() -> None:
    """`nn.LSTM` keeps its weights in a list beside the parameters, and runs on the list."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.last = nn.LSTM(3, 3, batch_first=True), nn.Identity()
            self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)
            self.two.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(self.lstm(x)[0]))

    network = Recurrent().eval()
    part = cp.load(network, ArraySpec((5, 3), "float32")).symbolic("two")
    (part(torch.randn(2, 5, 3)).sum() * torch.ones(1, requires_grad=True)).backward()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert len(list(part.parameters())) == len(list(network.parameters()))


def test_a_network_that_a_lambda_remembers_is_not_frozen_in_appearance_alone() -> None:
    class Remembering(Small):
        def __init__(self) -> None:
            super().__init__()
            self.step = lambda x: self.conv1(x)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv2(self.step(x))

    with pytest.raises(UsageError, match="through a lambda"):
        cp.load(Remembering().eval(), SPEC).symbolic("conv2")


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
