"""OpenVINO on the CPU."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.base.types import Batch, Features, Run
from cutpoint.networks.runtimes.openvino import import_openvino

# For int8, the scales are in the network; what they leave out is computed in float32.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


class OpenVINOEngine:
    """Run the converted cut, one single-threaded stream for each worker.

    Two streams of one thread beat one stream of two, and more so on a shared machine. The precision
    is asked for by name, as OpenVINO would choose bfloat16 where the processor has it.

    Parameters
    ----------
    cut : Cut
    n_threads : int
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the network computes in; features are float32. Of int8, `cut` is a `QuantisedCut`.
    export : bytes, optional
        What `export` gave of the same cut on this machine; spares the conversion.

    Raises
    ------
    UsageError
        If this processor does not compute in `precision`.
    """

    name = "openvino"
    is_serial = False
    # The fastest of 1 to 32 by two streams (MobileNetV2, EfficientNet-Lite0: 8 costs 14 to 17 %
    # more); rows are equal bit for bit at any size.
    batch_size = 2

    def __init__(
        self, cut: Cut, n_threads: int, precision: str = "fp32", export: bytes | None = None
    ) -> None:
        core = import_openvino().Core()
        _refuse_unknown(precision, core)
        self._names = [tap.name for tap in cut.taps]
        config = {
            "NUM_STREAMS": n_threads,
            "INFERENCE_NUM_THREADS": n_threads,
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "ENABLE_CPU_PINNING": False,
        }
        if export is None:
            self._compiled = core.compile_model(cut.convert("openvino"), "CPU", config)
        else:
            self._compiled = core.import_model(io.BytesIO(export), "CPU", config)
        # OpenVINO makes its table of NumPy types at the first request. Two threads that ask first
        # at once wait for each other for ever: one holds the table, the other Python.
        for port in (*self._compiled.inputs, *self._compiled.outputs):
            port.get_element_type().to_dtype()
        # In the order of the model's own. One that was kept or quantised before masks were inputs
        # makes its mask itself, and takes the ids alone.
        self._inputs = list(cut.inputs)[: len(self._compiled.inputs)]

    def export(self) -> bytes:
        """Return the compiled model; made again from it, it gives the same bits."""
        buffer = io.BytesIO()
        self._compiled.export_model(buffer)
        return buffer.getvalue()

    def session(self) -> Run:
        request = self._compiled.create_infer_request()

        def run(batch: Batch) -> Features:
            arrays = [np.ascontiguousarray(batch[name]) for name in self._inputs]
            found = request.infer(arrays, share_inputs=True)
            # A copy: the request reuses its output memory.
            outputs = (np.array(found[place]) for place in range(len(self._names)))
            return dict(zip(self._names, outputs, strict=True))

        return run


def _refuse_unknown(precision: str, core: Any) -> None:
    """Raise unless the processor computes in `precision`; OpenVINO itself would take another."""
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision.upper() not in able:
        raise UsageError(
            f"OpenVINO can't compute in precision {precision} on this processor.",
            f"Here it can in: {', '.join(name for name in _HINTS if name.upper() in able)}.",
            "One of these, or a processor that has it.",
            f"Leave out {option('precision')} where features are computed, for fp32",
        )
