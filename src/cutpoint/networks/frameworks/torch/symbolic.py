"""A module that ends at a layer, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cutpoint.base.spec import Constants, Preprocess
from cutpoint.networks.frameworks.torch.inputs import Calling, Given, example_input
from cutpoint.networks.frameworks.torch.modules import clone_tree, refused_in
from cutpoint.networks.frameworks.torch.reader import TapReader
from cutpoint.networks.layer_table import Layer


def symbolic(
    network: Any, layer: Layer, preprocess: Preprocess, trainable: bool, constants: Constants = ()
) -> Any:
    """Return an ``nn.Module`` that takes what `network` takes and returns the activation.

    It shares the network's weights and statistics. Trainable, its parameters are the network's
    own, so training it trains the network, as far as that has not been frozen; it is in training
    mode if the network is. Frozen, they are parameters without gradient on the same memory, and
    the network's own stay as they are. Nothing after `layer` is in it.
    """
    item = example_input(preprocess)
    call = Calling(network, preprocess, constants)
    if trainable:
        return UpTo(network, layer.name, item, call, trainable)
    frozen = clone_tree(network, frozen=True)
    with refused_in(network):
        return UpTo(frozen, layer.name, item, call, trainable)


class UpTo(nn.Module):
    """What the network takes, in the order of its inputs or by name → activation at one layer.

    Masks come last and may be left out; the network then attends to all.

    Notes
    -----
    One that is not trainable stays in inference mode, also when what it is part of is trained.
    At a node that is no module, operations that are no modules (``F.dropout``) stay in inference
    mode, whatever mode this module is in: they were captured so.
    """

    def __init__(
        self, network: nn.Module, layer: str, item: Given, call: Calling, trainable: bool
    ) -> None:
        super().__init__()
        self.layer = layer
        self.trainable = trainable
        self._names = (*(name for name in item if name not in call.masks), *call.masks)
        self.reader = TapReader(network, [layer], item, call, _as_it_is)
        self.train(network.training)

    def train(self, mode: bool = True) -> UpTo:
        return super().train(mode and self.trainable)

    def forward(self, *given: torch.Tensor | None, **named: torch.Tensor) -> torch.Tensor:
        by_place = {n: x for n, x in zip(self._names, given, strict=False) if x is not None}
        activation: torch.Tensor = self.reader({**by_place, **named})[self.layer]
        return activation


def _as_it_is(layer: str, activation: torch.Tensor, given: Given) -> torch.Tensor:
    return activation
