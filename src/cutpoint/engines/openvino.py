"""OpenVINO on the CPU."""

from __future__ import annotations

import numpy as np

from cutpoint.runtimes.openvino import import_openvino
from cutpoint.types import Batch, Cut, Features, Run


class OpenVINOEngine:
    """Run the converted cut, one single-threaded stream for each worker.

    Two streams of one thread beat one stream of two, and more so on a shared machine; float32 is
    asked for by name, as OpenVINO would choose bfloat16 where the processor has it.
    """

    name = "openvino"
    is_serial = False

    def __init__(self, cut: Cut, n_threads: int) -> None:
        openvino = import_openvino()
        self._names = [tap.name for tap in cut.taps]
        config = {
            "NUM_STREAMS": n_threads,
            "INFERENCE_NUM_THREADS": n_threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        model = cut.convert("openvino")
        self._compiled = openvino.Core().compile_model(model, "CPU", config)

    def session(self) -> Run:
        request = self._compiled.create_infer_request()

        def run(batch: Batch) -> Features:
            found = request.infer([np.ascontiguousarray(batch)], share_inputs=True)
            # A copy: the request reuses its output memory.
            outputs = (np.array(found[place]) for place in range(len(self._names)))
            return dict(zip(self._names, outputs, strict=True))

        return run
