"""Turn an ONNX cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cutpoint.networks.runtimes.openvino import import_openvino


def to_openvino(model: Any) -> Any:
    """Return a model as an ``openvino.Model``: any batch size, read from memory."""
    openvino = import_openvino()
    return openvino.Core().read_model(model.SerializeToString())


def to_onnxruntime(model: Any) -> Any:
    """Return the ``onnx.ModelProto``."""
    return model


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "openvino": to_openvino,
    "onnxruntime": to_onnxruntime,
}
