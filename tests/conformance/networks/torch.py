"""Tiny PyTorch networks: in training mode, of functions, by hooks alone, from transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own habit
from torch import nn

import cutpoint as cp
from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim
from tests.conformance.networks import SIDE, Case, Made

MEAN, STD = (120.0, 110.0, 100.0), (60.0, 61.0, 62.0)
SPEC = PreprocessSpec(SIDE, SIDE, "bilinear", MEAN, STD)


class Modules(nn.Module):
    """Batch normalisation and dropout, one activation called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.act, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)
        self.block = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1, groups=4), nn.BatchNorm2d(12))
        self.fc = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.act(self.bn1(self.conv1(x))))
        x = self.act(self.block(x))
        return self.fc(x.mean((2, 3)))


class Functions(nn.Module):
    """Most of it is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, 2, 1)
        self.two = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.one(x))
        x = F.relu(self.two(x)) + x
        x = F.max_pool2d(x, 2) * 0.5
        return torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)


class HooksAlone(Modules):
    """Python decides, so there is no graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x if float(x.abs().sum()) >= 0 else -x)


def drawn(network: nn.Module) -> nn.Module:
    """Draw all weights and statistics, none of them at their defaults."""
    random = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.05, 0.35, generator=random)
    return network


def normalised(batch: np.ndarray) -> torch.Tensor:
    pixels = (batch - np.array(MEAN)) / np.array(STD)
    return torch.from_numpy(np.moveaxis(pixels, 3, 1).astype(np.float32))


def by_torchvision(network: nn.Module, layer: str, batch: np.ndarray) -> np.ndarray:
    """Return what torchvision's own extractor reads, no activation in place."""
    import_with_shim("torchvision")
    from torchvision.models.feature_extraction import create_feature_extractor

    was_in_place = [module for module in network.modules() if getattr(module, "inplace", False)]
    for module in was_in_place:
        module.inplace = False
    try:
        extractor = create_feature_extractor(network, [layer], suppress_diff_warning=True).eval()
        with torch.inference_mode():
            found: np.ndarray = extractor(normalised(batch))[layer].numpy()
    finally:
        for module in was_in_place:
            module.inplace = True
    return found


def by_hooks(network: nn.Module, layer: str, batch: np.ndarray) -> np.ndarray:
    """Return what a hook of torch reads, copied before anything else touches it."""
    seen: list[np.ndarray] = []

    def read(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output if isinstance(output, torch.Tensor) else output[0]
        seen.append(first.numpy().copy())

    handle = network.get_submodule(layer).register_forward_hook(read)
    is_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(normalised(batch))
    finally:
        handle.remove()
        network.train(is_training)
    return seen[0]


Reads = Callable[[nn.Module, str, np.ndarray], np.ndarray]


def around(backbone: Backbone, reads: Reads) -> Made:
    network = backbone.network
    return Made(
        backbone,
        lambda layer, batch: reads(network, layer, batch),
        lambda: {name: values.numpy() for name, values in network.state_dict().items()},
    )


def in_training_mode(folder: Path) -> Made:
    return around(cp.load(drawn(Modules()).train(), SPEC), by_torchvision)


def of_functions(folder: Path) -> Made:
    return around(cp.load(drawn(Functions()), SPEC), by_torchvision)


def by_hooks_alone(folder: Path) -> Made:
    return around(cp.load(drawn(HooksAlone()).eval(), SPEC), by_hooks)


def state_dict(folder: Path) -> Made:
    torch.save({"state_dict": drawn(Modules()).state_dict()}, folder / "weights.pth")
    backbone = cp.load(folder / "weights.pth", SPEC, build=Modules)
    return around(backbone, by_torchvision)


def from_transformers(folder: Path) -> Made:
    import_with_shim("torchvision")
    transformers = import_with_shim("transformers")
    config = transformers.ConvNextConfig(hidden_sizes=[6, 8], depths=[1, 1], num_stages=2)
    drawn(transformers.ConvNextModel(config)).save_pretrained(folder)
    return around(cp.load(f"hf:{folder}", SPEC), by_hooks)


CASES = [
    Case(
        "torch-training-mode",
        in_training_mode,
        unstated=lambda folder: cp.load(Modules()),
    ),
    Case("torch-functions", of_functions),
    Case("torch-hooks-alone", by_hooks_alone),
    Case("torch-state-dict", state_dict),
    Case("torch-transformers", from_transformers, strides=(4, 8)),
]
