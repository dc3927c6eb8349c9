"""The framework itself."""

from __future__ import annotations

import threading

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.base.types import Batch, Features, Run


class NativeEngine:
    """Run the cut as it is.

    Frameworks bring threads of their own, so one batch is computed at a time and has all of them,
    while other workers decode.
    """

    name = "native"
    is_serial = True
    batch_size = 8

    def __init__(self, cut: Cut, n_threads: int, precision: str = "fp32") -> None:
        if precision != "fp32":
            raise no_precision(precision, self.name)
        self._cut = cut
        self._lock = threading.Lock()

    def session(self) -> Run:
        return self._run

    def _run(self, batch: Batch) -> Features:
        with self._lock:
            return self._cut(batch)


def no_precision(precision: str, engine: str) -> UsageError:
    """Return the error for a precision that `engine` lacks; another would change the numbers."""
    return UsageError(
        f"The engine {engine} can't compute in precision {precision}.",
        "It computes in fp32.",
        "The engine openvino, for networks it can run.",
        f'Leave out {option("precision")}, or:  pip install "cutpoint-ml[openvino]"',
    )
