"""Graphs have nothing a new head can be connected to."""

from __future__ import annotations

from typing import Any, NoReturn

from cutpoint.errors import UsageError
from cutpoint.layer_table import Layer
from cutpoint.spec import Preprocess


def symbolic(network: Any, layer: Layer, preprocess: Preprocess) -> NoReturn:
    """Raise `UsageError`: a frozen graph takes no gradients to its weights."""
    raise UsageError(
        f'Something to connect a head to at layer "{layer.name}" was asked for.',
        "The network is a frozen TensorFlow graph.",
        "symbolic() is there for Keras and PyTorch networks; features are, for all.",
        f'Type, for example:  backbone.cut("{layer.name}")',
    )
