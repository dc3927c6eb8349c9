"""ONNX graphs are no place to connect a new head to."""

from __future__ import annotations

from typing import Any

from cutpoint.errors import UsageError
from cutpoint.layer_table import Layer
from cutpoint.spec import Preprocess


def symbolic(network: Any, layer: Layer, preprocess: Preprocess) -> Any:
    """Raise `UsageError`: there is nothing that trains an ONNX graph."""
    raise UsageError(
        f'Something to connect a head to at layer "{layer.name}" was asked for.',
        "The network is an ONNX graph.",
        "symbolic() is there for Keras and PyTorch networks; features are, for all.",
        f'Type, for example:  backbone.cut("{layer.name}")',
    )
