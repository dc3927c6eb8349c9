from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from cutpoint.networks.runtimes import threads
from cutpoint.networks.runtimes.threads import side_by_side


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_results_come_in_the_order_of_the_tasks() -> None:
    assert list(side_by_side([partial(pow, 2, each) for each in range(20)], 3)) == [
        2**each for each in range(20)
    ]
    assert list(side_by_side([], 3)) == []


def test_as_many_run_at_once_as_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 4)
    together = threading.Barrier(2)

    def meet() -> None:
        together.wait(timeout=30)  # passes only if two are here at once

    assert len(list(side_by_side([meet, meet], 2))) == 2
    alone = [partial(threading.get_ident) for _ in range(4)]
    assert len(set(side_by_side(alone, 1))) == 1
    assert len(set(side_by_side(alone, 0))) == 1  # no memory for one: one all the same


def test_cores_are_shared_out_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    np.eye(2) @ np.eye(2)

    before = blas_threads()
    assert list(side_by_side([blas_threads] * 2, 2)) == [{1}] * 2
    assert blas_threads() == before


def test_no_library_gets_more_threads_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 8)
    with threadpool_limits(1):
        assert list(side_by_side([blas_threads], 1)) == [{1}]


def test_counts_are_given_back_when_several_threads_share_out_at_once() -> None:
    before = blas_threads()
    tasks = [partial(np.linalg.eigvalsh, np.eye(60)) for _ in range(4)]

    def choose(_: int) -> int:
        return sum(len(list(side_by_side(tasks, 2))) for _ in range(20))

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(choose, range(3))) == [80] * 3
    assert blas_threads() == before


def test_an_error_of_a_task_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side([lambda: 1 / 0, lambda: 1.0], 2))
