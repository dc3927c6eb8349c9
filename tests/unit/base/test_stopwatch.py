from __future__ import annotations

import threading
import time

import pytest

from cutpoint.base.stopwatch import Stopwatch, lap


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that says what the test puts into it."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_laps_of_a_stage_add_up(clock: list[float]) -> None:
    watch = Stopwatch().start()
    for now, stage in ((1.0, "decode"), (3.0, "engine"), (3.5, "decode")):
        clock[0] = now
        lap(stage)
    watch.stop()
    assert watch.seconds == {"decode": 1.5, "engine": 2.0}


def test_laps_count_for_the_thread_that_started_the_watch_alone(clock: list[float]) -> None:
    watch = Stopwatch().start()
    clock[0] = 1.0
    other = threading.Thread(target=lap, args=("engine",))
    other.start()
    other.join()
    watch.stop()
    lap("after it was stopped")
    assert watch.seconds == {}
