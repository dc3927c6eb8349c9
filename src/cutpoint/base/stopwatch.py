"""Where a thread's time goes: laps, counted by stage.

Whoever runs work starts a watch in its thread; whoever does a stage says when it is done. Without
a watch a lap is one look-up, so laps stay in the code that is timed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict

Seconds = dict[str, float]
"""Stage → seconds."""

_current = threading.local()


class Stopwatch:
    """Seconds by stage of the thread that starts it.

    Attributes
    ----------
    seconds : dict of stage → float
    """

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(float)
        self._last = 0.0

    def start(self) -> Stopwatch:
        """Count this thread's laps from now on, in place of any watch it had."""
        self._last = time.perf_counter()
        _current.watch = self
        return self

    def stop(self) -> None:
        """Count this thread's laps no longer."""
        _current.watch = None

    def lap(self, stage: str) -> None:
        """Count the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now


def lap(stage: str) -> None:
    """Count the time since this thread's last lap to `stage`, if it has a watch."""
    watch = getattr(_current, "watch", None)
    if watch is not None:
        watch.lap(stage)
