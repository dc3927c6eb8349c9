"""Ctrl-C while units run: the first ends the run in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cutpoint.base.progress import Reporter


class Stop:
    """Whether a run is to end with the units that are under way, and why.

    Attributes
    ----------
    reason : BaseException or None
        What is raised once they have ended.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.reason: BaseException | None = None
        self._say: Callable[[str], None] | None = say

    def __call__(self) -> bool:
        return self.reason is not None

    def because(self, reason: BaseException) -> None:
        """Ask to stop; the latest reason counts."""
        self.reason = reason

    def tell(self) -> None:
        """Say once that Ctrl-C was heard; not said where it was, as a line may be half printed."""
        if self._say is not None and isinstance(self.reason, KeyboardInterrupt):
            self._say("Stopping: what is under way is finished and kept; Ctrl-C again drops it")
            self._say = None


@contextmanager
def stopping(reporter: Reporter) -> Iterator[Stop]:
    """Yield what says whether to stop; raise the reason at the end, if there is one.

    Within, Ctrl-C asks to stop, and a second one raises `KeyboardInterrupt` where the run stands.
    Only the main thread hears Ctrl-C; elsewhere, and where a program handles it by itself or has it
    ignored, nothing is changed.
    """
    stop = Stop(reporter.say)
    if not _is_heard():
        yield stop
    else:
        usual = signal.signal(signal.SIGINT, _handler(stop))
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, usual)
    if stop.reason is not None:
        raise stop.reason


def _is_heard() -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _handler(stop: Stop) -> Callable[[int, FrameType | None], None]:
    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if stop():
            raise KeyboardInterrupt
        stop.because(KeyboardInterrupt())

    return on_interrupt
