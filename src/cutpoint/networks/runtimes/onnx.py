"""ONNX and onnxruntime: import and sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cutpoint.base.errors import MissingExtra
from cutpoint.base.types import Array
from cutpoint.networks.runtimes.threads import n_cores

_FATAL = 4  # what onnxruntime logs below that it also raises


def import_onnx() -> Any:
    """Return the package ``onnx``."""
    try:
        import onnx.inliner  # which ``onnx`` does not import itself
    except ImportError as error:
        raise MissingExtra("ONNX", "onnx") from error
    return onnx


def import_onnxruntime() -> Any:
    """Return the package ``onnxruntime``, which reports nothing to its makers and logs nothing."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(_FATAL)
    return onnxruntime


class Session:
    """A model on the CPU.

    Parameters
    ----------
    model : onnx.ModelProto
    is_optimised : bool, default True
        Whether the graph may be rewritten before it runs.
    n_threads : int, optional
        Threads of one pass; as many as processors if absent.
    inputs : sequence of str, optional
        What a batch calls the model's inputs, in the model's order; their own names if absent.
    """

    def __init__(
        self,
        model: Any,
        is_optimised: bool = True,
        n_threads: int | None = None,
        inputs: Sequence[str] | None = None,
    ) -> None:
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = n_threads or n_cores()
        # Waiting threads sleep: others of this process decode meanwhile.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not is_optimised:
            options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        own = [each.name for each in model.graph.input]
        self._names = dict(zip(inputs or own, own, strict=True))

    def __call__(self, batch: Mapping[str, Array]) -> Sequence[Any]:
        """Return all outputs, in the model's order."""
        given = {own: np.ascontiguousarray(batch[name]) for name, own in self._names.items()}
        outputs: Sequence[Any] = self._session.run(None, given)
        return outputs
