"""The framework itself."""

from __future__ import annotations

import threading

from cutpoint.types import Batch, Cut, Features, Run


class NativeEngine:
    """Run the cut as it is.

    Frameworks bring threads of their own, so one batch is computed at a time and has all of them,
    while other workers decode.
    """

    name = "native"
    is_serial = True

    def __init__(self, cut: Cut, n_threads: int) -> None:
        self._cut = cut
        self._lock = threading.Lock()

    def session(self) -> Run:
        return self._run

    def _run(self, batch: Batch) -> Features:
        with self._lock:
            return self._cut(batch)
