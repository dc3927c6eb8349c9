"""Turn a graph's cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cutpoint.networks.runtimes import tensorflow

if TYPE_CHECKING:
    from cutpoint.networks.frameworks.tfgraph.cut import GraphCut


def to_openvino(cut: GraphCut) -> Any:
    """Return the cut as an ``openvino.Model``: prepared items in, any batch size."""
    return tensorflow.to_openvino(cut.concrete, len(cut.taps))


CONVERTERS: dict[str, Callable[[GraphCut], Any]] = {"openvino": to_openvino}
