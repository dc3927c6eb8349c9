"""Threads on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

from cutpoint.base.arguments import check_workers
from cutpoint.features.extraction.interrupt import Stop
from cutpoint.networks.runtimes.threads import n_cores

T = TypeVar("T")
R = TypeVar("R")
_LOOK_EVERY_S = 0.2  # a person who pressed Ctrl-C is answered that soon


class LocalExecutor:
    """Run work in threads; each thread runs what it takes to completion, so nothing queues up.

    Decoding and the engines release Python's lock, so threads overlap them.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        check_workers(n_workers)
        self.n_workers = n_cores() if n_workers is None else n_workers

    def map(
        self,
        make_worker: Callable[[], Callable[[T], R]],
        units: Sequence[T],
        stop: Stop | None = None,
    ) -> Generator[R, None, None]:
        """Yield results as units end. `make_worker` is called once in each thread.

        Where a unit fails, or `stop` is asked to, no other begins; the results of those under way
        are still yielded, and then the reason is raised. Ctrl-C on the way out leaves at once.
        """
        local, stop, ended = threading.local(), stop or Stop(), SimpleQueue[Future[tuple[R, ...]]]()

        def work(unit: T) -> tuple[R, ...]:
            if stop():
                return ()
            try:
                if not hasattr(local, "work"):
                    local.work = make_worker()
                return (local.work(unit),)
            except BaseException as error:
                stop.because(error)
                raise

        pool = ThreadPoolExecutor(min(self.n_workers, len(units)) or 1, "cutpoint")
        try:
            for unit in units:
                pool.submit(work, unit).add_done_callback(ended.put)
            for _ in units:
                future = _next(ended, stop)
                if future.exception() is None:  # else it is the reason to stop
                    yield from future.result()
        finally:
            pool.shutdown(wait=not stop(), cancel_futures=True)
        if stop.reason is not None:
            raise stop.reason


def _next(ended: SimpleQueue[T], stop: Stop) -> T:
    """Return what ends next; tell on the way that Ctrl-C was heard."""
    while True:
        try:
            return ended.get(timeout=_LOOK_EVERY_S)
        except Empty:
            stop.tell()
        except KeyboardInterrupt as error:  # of a program that handles Ctrl-C by itself
            if stop():
                raise
            stop.because(error)
