"""A module that ends at a layer, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cutpoint.frameworks.torch.inputs import example_input
from cutpoint.frameworks.torch.reader import TapReader
from cutpoint.layer_table import Layer
from cutpoint.spec import Preprocess


def symbolic(network: Any, layer: Layer, preprocess: Preprocess) -> Any:
    """Return an ``nn.Module`` that takes what `network` takes and returns the activation.

    It shares the network's weights and statistics, so training it trains the network; it is in
    training mode if the network is. Nothing after `layer` is in it.
    """
    return UpTo(network, layer.name, example_input(preprocess)).train(network.training)


class UpTo(nn.Module):
    """What the network takes, and which tokens are valid → activation at one layer.

    Notes
    -----
    At a node that is no module, operations that are no modules (``F.dropout``) stay in inference
    mode, whatever mode this module is in: they were captured so.
    """

    def __init__(self, network: nn.Module, layer: str, item: torch.Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.reader = TapReader(network, [layer], item, _as_it_is)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        activation: torch.Tensor = self.reader(x, mask)[self.layer]
        return activation


def _as_it_is(layer: str, activation: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return activation
