"""PyTorch on the CPU, for inference alone."""

from __future__ import annotations

from cutpoint.base.contracts import Cut
from cutpoint.base.types import Batch, Features, Run
from cutpoint.networks.engines.native import no_precision
from cutpoint.networks.runtimes.threads import one_torch_thread


class TorchEngine:
    """Run the cut with its norms folded into its convolutions, one thread for each worker."""

    name = "torch"
    is_serial = False
    batch_size = 4  # the fastest of 2 to 16 with EfficientNet-Lite0, MobileNetV2 and ResNet-50

    def __init__(self, cut: Cut, n_threads: int, precision: str = "fp32") -> None:
        if precision != "fp32":
            raise no_precision(precision, self.name)
        self._cut = cut.convert(self.name)

    def session(self) -> Run:
        return self._run

    def _run(self, batch: Batch) -> Features:
        with one_torch_thread():
            features: Features = self._cut(batch)
        return features
