from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from cutpoint.runtimes import threads
from cutpoint.runtimes.threads import side_by_side


def test_results_come_in_the_order_of_the_tasks() -> None:
    assert list(side_by_side([partial(pow, 2, each) for each in range(20)], 3)) == [
        2**each for each in range(20)
    ]
    assert list(side_by_side([], 3)) == []


def test_as_many_run_at_once_as_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 4)
    together = threading.Barrier(2)

    def meet() -> int:
        together.wait(timeout=30)  # passes only if two are here at once
        return threading.active_count()

    assert len(list(side_by_side([meet, meet], 2))) == 2
    alone = [partial(threading.get_ident) for _ in range(4)]
    assert len(set(side_by_side(alone, 1))) == 1
    assert len(set(side_by_side(alone, 0))) == 1  # no memory for one: one all the same


def test_cores_are_shared_out_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "n_cores", lambda: 2)
    np.eye(2) @ np.eye(2)

    def blas_threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    before = blas_threads()
    assert list(side_by_side([blas_threads] * 2, 2)) == [{1}] * 2
    assert blas_threads() == before


def test_an_error_of_a_task_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(side_by_side([lambda: 1 / 0, lambda: 1.0], 2))
