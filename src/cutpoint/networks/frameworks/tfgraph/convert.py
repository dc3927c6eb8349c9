"""Turn a graph's cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cutpoint.networks.runtimes import tensorflow


def to_openvino(concrete: Any, n_taps: int) -> Any:
    """Return a frozen function as an ``openvino.Model``: prepared items in, any batch size."""
    return tensorflow.to_openvino(concrete, n_taps)


CONVERTERS: dict[str, Callable[[Any, int], Any]] = {"openvino": to_openvino}
