"""What a careful user writes without cutpoint: DataLoader, eager network, forward hooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

import_with_shim("torchvision")
from torchvision import transforms  # noqa: E402  after the shim


class _Photos(torch.utils.data.Dataset):
    def __init__(self, files: Sequence[Path], spec: PreprocessSpec) -> None:
        self.files = files
        interpolation = transforms.InterpolationMode(spec.interpolation)
        self.transform = transforms.Compose(
            [
                transforms.Resize(spec.resize_px, interpolation),
                transforms.CenterCrop(spec.crop_px),
                transforms.ToTensor(),
                transforms.Normalize(
                    *([value / 255 for value in each] for each in (spec.mean, spec.std))
                ),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.transform(Image.open(self.files[place]).convert("RGB"))


def batches(files: Sequence[Path], spec: PreprocessSpec) -> torch.utils.data.DataLoader:
    """Return prepared photos in batches of 32, read by two workers."""
    return torch.utils.data.DataLoader(_Photos(files, spec), batch_size=32, num_workers=2)


class PlainLoop:
    """Average and maximum of some layers, collected by hooks, whole network run.

    Parameters
    ----------
    network : nn.Module
        Its memory format is changed.
    spec : PreprocessSpec
    layers : sequence of str
    memory_format : torch.memory_format
    """

    def __init__(
        self,
        network: torch.nn.Module,
        spec: PreprocessSpec,
        layers: Sequence[str],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.network = network.eval().to(memory_format=memory_format)
        self.spec, self.layers, self.memory_format = spec, layers, memory_format
        self.maps: dict[str, torch.Tensor] = {}
        for layer in layers:
            self.network.get_submodule(layer).register_forward_hook(self._keep(layer))

    def _keep(self, layer: str):
        def hook(module, inputs, output):
            self.maps[layer] = output

        return hook

    def features(self, files: Sequence[Path]) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {}
        with torch.inference_mode():
            for batch in batches(files, self.spec):
                self.network(batch.contiguous(memory_format=self.memory_format))
                for layer in self.layers:
                    maps = self.maps[layer]
                    parts.setdefault(f"{layer}/gap", []).append(maps.mean((2, 3)).numpy())
                    parts.setdefault(f"{layer}/gmp", []).append(maps.amax((2, 3)).numpy())
        return {name: np.concatenate(rows) for name, rows in parts.items()}
