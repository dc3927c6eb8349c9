"""Threads on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from cutpoint.arguments import check_workers
from cutpoint.runtimes.threads import n_cores

T = TypeVar("T")
R = TypeVar("R")


class LocalExecutor:
    """Run work in threads; each thread runs what it takes to completion, so nothing queues up.

    Decoding and the engines release Python's lock, so threads overlap them.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        check_workers(n_workers)
        self.n_workers = n_cores() if n_workers is None else n_workers

    def map(self, make_worker: Callable[[], Callable[[T], R]], units: Sequence[T]) -> Iterator[R]:
        """Yield results as units end. `make_worker` is called once in each thread."""
        local = threading.local()

        def set_up() -> None:
            local.work = make_worker()

        def work(unit: T) -> R:
            result: R = local.work(unit)
            return result

        n_threads = min(self.n_workers, len(units)) or 1
        pool = ThreadPoolExecutor(n_threads, "cutpoint", initializer=set_up)
        try:
            futures = [pool.submit(work, unit) for unit in units]
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
