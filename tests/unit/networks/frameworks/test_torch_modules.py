"""Copies of module trees: all that a network refers to goes along, tensors are shared."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import PreprocessSpec, TapSpec
from cutpoint.networks.frameworks.torch import TorchCut, list_layers
from cutpoint.networks.frameworks.torch.modules import clone_tree

SPEC = PreprocessSpec(16, 16, "bilinear", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
BATCH = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype(np.uint8)


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.last = nn.Conv2d(4, 4, 1)
        self.bn.running_mean.fill_(0.3)

    def early(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.bn(self.conv(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.early(x))


class ByList(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.stages = [self.conv, self.bn, self.drop]

    def early(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        return x


class ByMethod(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.step = super().early

    def early(self, x: torch.Tensor) -> torch.Tensor:
        return self.step(x)


class ByLambda(Parts):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda x: self.drop(self.bn(self.conv(x)))

    def early(self, x: torch.Tensor) -> torch.Tensor:
        return self.step(x)


def cut_at(network: nn.Module, tap: str) -> TorchCut:
    return TorchCut(network, SPEC, [TapSpec.from_name(tap)], list_layers(network, SPEC))


@pytest.mark.parametrize("make", [Parts, ByList, ByMethod])
@pytest.mark.parametrize("tap", ["bn", "last"])
def test_modules_reached_by_lists_and_methods_are_frozen_copies(
    make: Callable[[], nn.Module], tap: str
) -> None:
    torch.manual_seed(0)
    network = make().train()
    before = network.bn.running_mean.clone()
    cut = cut_at(network, f"{tap}/none")
    found, again = (cut(BATCH)[f"{tap}/none"] for _ in range(2))
    np.testing.assert_array_equal(found, again)
    assert network.training
    assert torch.equal(network.bn.running_mean, before)
    with torch.inference_mode():
        truth = network.eval().bn(network.conv(torch.from_numpy(BATCH).permute(0, 3, 1, 2) / 255))
        truth = truth if tap == "bn" else network.last(truth)
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-6)


def test_a_lambda_that_calls_the_original_is_refused_before_it_runs() -> None:
    network = ByLambda().train()
    before = network.bn.running_mean.clone()
    with pytest.raises(UsageError, match='calls the original "conv"'):
        cut_at(network, "last/gap")
    assert torch.equal(network.bn.running_mean, before)
    assert not network.conv._forward_pre_hooks


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_parametrised_weights_are_listed_and_cut(norm: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU()).eval()
    with torch.inference_mode():
        truth = network(torch.from_numpy(BATCH).permute(0, 3, 1, 2) / 255)
    found = cut_at(network, "1/none")(BATCH)["1/none"]
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-6)


def test_a_copy_shares_all_tensors() -> None:
    network = ByList()
    network.masks = [torch.ones(3)]
    clone = clone_tree(network)
    assert clone.stages[1] is clone.bn is not network.bn
    assert clone.masks[0] is network.masks[0]
    assert [id(each) for each in clone.parameters()] == [id(each) for each in network.parameters()]
    assert [id(each) for each in clone.buffers()] == [id(each) for each in network.buffers()]


def test_what_can_not_be_copied_is_refused() -> None:
    network = Parts()
    network.lock = threading.Lock()
    with pytest.raises(UsageError, match=r"can't be copied(.|\n)*TypeError"):
        clone_tree(network)
