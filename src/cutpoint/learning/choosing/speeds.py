"""How fast the network runs to each layer, measured here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.errors import MissingExtra, StoreError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.types import Run
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.unit import calibration_batch
from cutpoint.items.reading import Item
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.networks.engines import make_ready

N_BATCHES, N_ROUNDS = 10, 3  # timed, after one batch that is not


def measure_speeds(
    cut_at: Callable[[Sequence[TapSpec]], Cut],
    taps: Sequence[TapSpec],
    spec: FeatureSpec,
    items: Sequence[Item],
    engine: str,
    reporter: Reporter,
) -> dict[str, float]:
    """Return layer → items per second of a cut there, prepared items in memory, all cores.

    One tap per layer is timed: pools cost next to nothing. `cut_at` makes the cuts, and each engine
    passes the parity gate on `items`. Nothing is timed where the engine or the precision can't be
    had, and that is said.
    """
    by_layer = {tap.layer: tap for tap in taps}
    found = {}
    try:
        with reporter.bar("Time the cuts", len(by_layer), "cuts") as advance:
            for layer, tap in by_layer.items():
                one = replace(spec, taps=(tap,))
                found[layer] = _items_per_s(cut_at([tap]), one, items, engine, reporter)
                advance(1)
    except (MissingExtra, StoreError, UsageError) as error:
        reporter.say(f"Speeds are left out: {error.wrong}")
        return {}
    return found


def worth_timing(ranking: Ranking) -> tuple[TapSpec, ...]:
    """Return where the cheapest ways to each accuracy end, what is taken, and the last layer."""
    shown = [*ranking.pareto, ranking.taken, ranking.best, ranking.last or ranking.best]
    return tuple(dict.fromkeys(each.deepest for each in shown))


def _items_per_s(
    cut: Cut, spec: FeatureSpec, items: Sequence[Item], engine: str, reporter: Reporter
) -> float:
    """Run as extraction does: one session per thread, or one that uses all threads."""
    n_threads = LocalExecutor(None).n_workers
    sample, _ = calibration_batch(items, spec.backbone.preprocess, cut)
    spec_id = spec.fingerprint()
    ready = make_ready(
        cut, engine, n_threads, spec.precision, spec_id, lambda: sample, reporter.say
    ).engine
    n_sessions = 1 if ready.is_serial else n_threads
    batch = {n: np.resize(x, (ready.batch_size, *x.shape[1:])) for n, x in sample.items()}

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
