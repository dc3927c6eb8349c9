"""``steps:16``: a network that looks at differences of neighbours, with 16 channels."""

from __future__ import annotations

from typing import Any

from cutpoint.networks.backbone import Backbone, BackboneSpec, LoadOptions
from cutpoint_series.spec import SeriesSpec

LENGTH = 64


def load(name: str, options: LoadOptions) -> Backbone:
    from cutpoint.networks.frameworks import torch as framework

    spec = options.preprocess or SeriesSpec(LENGTH)
    network = _network(int(name))
    named = BackboneSpec("steps", name, spec.kind, f"drawn by seed 0, {name} channels", spec)
    return Backbone(named, lambda: network, lambda: framework)


def _network(n_channels: int) -> Any:
    import torch
    from torch import nn

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(1, n_channels, 3, padding=1)
            self.act = nn.ReLU()
            self.second = nn.Conv1d(n_channels, n_channels, 3, padding=1)

        def forward(self, series: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            valid = mask[:, None].float()
            inner = self.act(self.first(series)) * valid  # else what fills up would leak in
            return self.second(inner)

    torch.manual_seed(0)
    return Steps().eval()
