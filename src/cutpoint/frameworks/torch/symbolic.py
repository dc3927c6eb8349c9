"""A module that ends at a layer, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

from cutpoint.layer_table import Layer
from cutpoint.spec import Preprocess


def symbolic(network: Any, layer: Layer, preprocess: Preprocess) -> Any:
    """Return an ``nn.Module`` that takes what `network` takes and returns the activation."""
    raise NotImplementedError
