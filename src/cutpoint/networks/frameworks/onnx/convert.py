"""Turn an ONNX cut into what the engines run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cutpoint.networks.runtimes.openvino import import_openvino

if TYPE_CHECKING:
    from cutpoint.networks.frameworks.onnx.cut import OnnxCut


def to_openvino(cut: OnnxCut) -> Any:
    """Return the cut as an ``openvino.Model``: any batch size, read from memory."""
    openvino = import_openvino()
    return openvino.Core().read_model(cut.model.SerializeToString())


def to_onnxruntime(cut: OnnxCut) -> Any:
    """Return the cut's own ``onnx.ModelProto``."""
    return cut.model


CONVERTERS: dict[str, Callable[[OnnxCut], Any]] = {
    "openvino": to_openvino,
    "onnxruntime": to_onnxruntime,
}
