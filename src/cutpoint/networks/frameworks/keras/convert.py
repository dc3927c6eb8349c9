"""Turn a Keras cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cutpoint.networks.runtimes import tensorflow

if TYPE_CHECKING:
    from cutpoint.networks.frameworks.keras.cut import KerasCut


def to_openvino(cut: KerasCut) -> Any:
    """Return the cut as an ``openvino.Model``: prepared batch in, any batch size."""
    model = tensorflow.to_openvino(cut.concrete, len(cut.taps))
    shapes = ([-1, *(size or -1 for size in each.shape)] for each in cut.inputs.values())
    model.reshape(dict(zip(model.inputs, shapes, strict=True)))
    return model


CONVERTERS: dict[str, Callable[[KerasCut], Any]] = {"openvino": to_openvino}
