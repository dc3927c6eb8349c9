"""How many threads there are, and how many of them frameworks compute in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

R = TypeVar("R")
_SHARING_OUT = Lock()


def n_cores() -> int:
    """Cores this process may use; a container often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_thread() -> Any:
    """Return a context in which frameworks compute in one thread.

    For the few small passes that list, cut and convert a network: several threads gain nothing
    there, and wait for each other in loops where the machine is busy. Seen so with PyTorch on two
    cores shared by six: 5.6 s of processor time for a cut that takes 0.2 s in one thread.
    """
    return threadpool_limits(1)


def side_by_side(tasks: Sequence[Callable[[], R]], at_most: int) -> Iterator[R]:
    """Yield what independent tasks return, in their order, several run at once.

    The cores are shared out: a matrix product in one thread each wastes less than one after the
    other in all, as decompositions hardly gain by more. BLAS libraries get no more threads than
    they have. Calls from several threads wait for each other, as that count is the process' own;
    so no task may call this.

    Parameters
    ----------
    tasks : sequence of callable
        They spend their time outside Python's lock, in NumPy.
    at_most : int
        How many at once, whatever the cores; each needs its memory.
    """
    n_threads = max(1, min(n_cores(), len(tasks), at_most))
    with _SHARING_OUT, threadpool_limits(_share(n_threads), "blas"):
        pool = ThreadPoolExecutor(n_threads, "cutpoint")
        try:
            yield from pool.map(lambda task: task(), tasks)
        finally:
            pool.shutdown(cancel_futures=True)


def _share(n_workers: int) -> int:
    """Return the threads each worker's BLAS gets: its share of the cores, never more than now."""
    now = [int(each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas"]
    return max(1, min(n_cores() // n_workers, *now))


def one_torch_thread() -> Any:
    """Return a context in which PyTorch computes in the calling thread alone.

    Each thread has its own count in OpenMP, so others are let be, and no thread to come inherits
    it, as after ``torch.set_num_threads``. OpenBLAS has one count for all and is not touched.
    Where a program has called that function, matrix products by MKL keep its count; convolutions
    do not.
    """
    import torch

    torch.get_num_threads()  # the first call of a thread sets its count, and would undo ours
    return _openmp().limit(limits=1)


@cache
def _openmp() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="openmp")
