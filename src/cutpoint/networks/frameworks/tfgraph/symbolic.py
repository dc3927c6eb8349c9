"""Graphs have nothing a new head can be connected to."""

from __future__ import annotations

from typing import Any, NoReturn

from cutpoint.base.spec import Constants, Preprocess
from cutpoint.networks.layer_table import Layer, no_symbolic


def symbolic(
    network: Any, layer: Layer, preprocess: Preprocess, trainable: bool, constants: Constants = ()
) -> NoReturn:
    """Raise `UsageError`: a frozen graph takes no gradients to its weights."""
    raise no_symbolic(layer, "a frozen TensorFlow graph")
