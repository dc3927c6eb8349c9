"""onnxruntime on the CPU."""

from __future__ import annotations

from cutpoint.base.contracts import Cut
from cutpoint.base.types import Batch, Features, Run
from cutpoint.networks.engines.native import no_precision
from cutpoint.networks.runtimes.onnx import Session


class OnnxRuntimeEngine:
    """Run the cut as an ONNX model, one pass of one thread for each worker."""

    name = "onnxruntime"
    is_serial = False
    batch_size = 2  # as for OpenVINO

    def __init__(self, cut: Cut, n_threads: int, precision: str = "fp32") -> None:
        if precision != "fp32":
            raise no_precision(precision, self.name)
        self._names = [tap.name for tap in cut.taps]
        # A session may run in several threads at once; each pass stays in the thread that asks.
        self._session = Session(cut.convert(self.name), n_threads=1, inputs=list(cut.inputs))

    def session(self) -> Run:
        return self._run

    def _run(self, batch: Batch) -> Features:
        return dict(zip(self._names, self._session(batch), strict=True))
