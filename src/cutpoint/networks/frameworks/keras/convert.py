"""Turn a Keras cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cutpoint.base.types import InputSpec
from cutpoint.networks.runtimes import tensorflow


def to_openvino(concrete: Any, n_taps: int, inputs: Mapping[str, InputSpec]) -> Any:
    """Return a traced function as an ``openvino.Model``: prepared batch in, any batch size."""
    model = tensorflow.to_openvino(concrete, n_taps)
    shapes = ([-1, *(size or -1 for size in each.shape)] for each in inputs.values())
    model.reshape(dict(zip(model.inputs, shapes, strict=True)))
    return model


CONVERTERS: dict[str, Callable[..., Any]] = {"openvino": to_openvino}
