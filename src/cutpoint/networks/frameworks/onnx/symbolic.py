"""ONNX graphs are no place to connect a new head to."""

from __future__ import annotations

from typing import Any, NoReturn

from cutpoint.base.spec import Constants, Preprocess
from cutpoint.networks.layer_table import Layer, no_symbolic


def symbolic(
    network: Any, layer: Layer, preprocess: Preprocess, trainable: bool, constants: Constants = ()
) -> NoReturn:
    """Raise `UsageError`: there is nothing that trains an ONNX graph."""
    raise no_symbolic(layer, "an ONNX graph")
