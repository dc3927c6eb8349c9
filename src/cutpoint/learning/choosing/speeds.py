"""How fast the network runs to each layer, measured here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import MissingExtra, StoreError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import TapSpec
from cutpoint.base.types import Run, blank_batch
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.networks.engines import ENGINES, preferred_engine

N_BATCHES, N_ROUNDS = 10, 3  # timed, after one batch that is not


def measure_speeds(
    cut_at: Callable[[Sequence[TapSpec]], Cut],
    taps: Sequence[TapSpec],
    engine: str,
    precision: str,
    reporter: Reporter,
) -> dict[str, float]:
    """Return layer → items a second of a cut there, prepared items in memory, all cores.

    One tap a layer is timed: pools cost next to nothing. `cut_at` makes the cuts. Nothing is timed
    where the engine or the precision can't be had, and that is said.
    """
    by_layer = {tap.layer: tap for tap in taps}
    try:
        return _measured(cut_at, by_layer, engine, precision, reporter)
    except (MissingExtra, StoreError, UsageError) as error:
        reporter.say(f"Speeds are left out: {error.got}")
        return {}


def _measured(
    cut_at: Callable[[Sequence[TapSpec]], Cut],
    by_layer: dict[str, TapSpec],
    engine: str,
    precision: str,
    reporter: Reporter,
) -> dict[str, float]:
    with reporter.bar("Time the cuts", len(by_layer), "cuts") as advance:
        found = {}
        for layer, tap in by_layer.items():
            found[layer] = _items_per_s(cut_at([tap]), engine, precision)
            advance(1)
    return found


def worth_timing(ranking: Ranking) -> tuple[TapSpec, ...]:
    """Return where the cheapest ways to each accuracy end, what is taken, and the last layer."""
    shown = [*ranking.pareto, ranking.taken, ranking.best, ranking.last or ranking.best]
    return tuple(dict.fromkeys(each.deepest for each in shown))


def _items_per_s(cut: Cut, engine: str, precision: str) -> float:
    """Run as extraction does: one session a thread, or one that uses all threads."""
    n_threads = LocalExecutor(None).n_workers
    ready = ENGINES[preferred_engine(engine, cut)[0]](cut, n_threads, precision)
    n_sessions = 1 if ready.is_serial else n_threads
    batch = blank_batch(cut.inputs, ready.batch_size)

    def run(session: Run) -> None:
        for _ in range(N_BATCHES):
            session(batch)

    sessions = [ready.session() for _ in range(n_sessions)]
    for session in sessions:
        session(batch)
    seconds = []
    with ThreadPoolExecutor(n_sessions) as pool:
        for _ in range(N_ROUNDS):
            start = time.perf_counter()
            list(pool.map(run, sessions))
            seconds.append(time.perf_counter() - start)
    return float(n_sessions * N_BATCHES * ready.batch_size / np.median(seconds))
