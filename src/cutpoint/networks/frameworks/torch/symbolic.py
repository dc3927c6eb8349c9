"""A module that ends at a layer, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cutpoint.base.spec import Preprocess
from cutpoint.networks.frameworks.torch.inputs import example_input
from cutpoint.networks.frameworks.torch.modules import clone_tree, refused_in
from cutpoint.networks.frameworks.torch.reader import TapReader
from cutpoint.networks.layer_table import Layer


def symbolic(network: Any, layer: Layer, preprocess: Preprocess, trainable: bool) -> Any:
    """Return an ``nn.Module`` that takes what `network` takes and returns the activation.

    It shares the network's weights and statistics. Trainable, its parameters are the network's
    own, so training it trains the network, as far as that has not been frozen; it is in training
    mode if the network is. Frozen, they are parameters without gradient on the same memory, and
    the network's own stay as they are. Nothing after `layer` is in it.
    """
    item = example_input(preprocess)
    if trainable:
        return UpTo(network, layer.name, item, trainable)
    frozen = clone_tree(network, frozen=True)
    with refused_in(network):
        return UpTo(frozen, layer.name, item, trainable)


class UpTo(nn.Module):
    """What the network takes, and which tokens are valid → activation at one layer.

    Notes
    -----
    One that is not trainable stays in inference mode, also when what it is part of is trained.
    At a node that is no module, operations that are no modules (``F.dropout``) stay in inference
    mode, whatever mode this module is in: they were captured so.
    """

    def __init__(self, network: nn.Module, layer: str, item: torch.Tensor, trainable: bool) -> None:
        super().__init__()
        self.layer = layer
        self.trainable = trainable
        self.reader = TapReader(network, [layer], item, _as_it_is)
        self.train(network.training)

    def train(self, mode: bool = True) -> UpTo:
        return super().train(mode and self.trainable)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        activation: torch.Tensor = self.reader(x, mask)[self.layer]
        return activation


def _as_it_is(layer: str, activation: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    return activation
