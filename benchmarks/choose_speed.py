"""Every layer × pool × λ judged by rows left out, against a loop of scikit-learn's RidgeCV.

    python benchmarks/choose_speed.py

Writes docs/benchmarks/choose-speed.md. Features are drawn: 2000 rows of ten classes, widths like a
mobile network's from stem to head, each for four pools, variances that fall as 1/i. Both find the
leave-one-out squared error of 20 λ for each of the 36 candidates, on one core, from the same
float32 features; they take turns, and CPU time is counted, as neighbours cost less of that. The
numbers are compared first: no time is believed unless they agree to 1e-8. Then all 36 by the clock,
each way with all cores: candidates side by side here, RidgeCV one after the other with as many
threads as it takes.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sklearn
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint.learning.gram import Spectrum, alpha_grid, judge, loo_path  # noqa: E402
from cutpoint.learning.gram.path import LooPath  # noqa: E402
from cutpoint.learning.gram.targets import Targets  # noqa: E402
from cutpoint.networks.runtimes.threads import n_cores, side_by_side  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "choose-speed.md"
N_ROWS, N_CLASSES, N_ALPHAS, N_POOLS, N_ROUNDS = 2000, 10, 20, 4, 3
WIDTHS = (64, 96, 160, 240, 320, 480, 640, 960, 1280)
WIDE = 5120  # 2 × 2 cells of the widest layer: more features than rows
TOLERANCE = 1e-8


def draw(width: int, seed: int) -> tuple[np.ndarray, Targets]:
    """Return float32 features, mixed by one reflection, and classes that shift them a little."""
    random = np.random.default_rng(seed)
    labels = np.arange(N_ROWS) % N_CLASSES
    X = random.normal(size=(N_ROWS, width)) + 0.3 * random.normal(size=(N_CLASSES, width))[labels]
    X *= np.arange(1, width + 1) ** -0.5
    mirror = random.normal(size=width)
    mirror /= np.linalg.norm(mirror)
    X -= 2 * np.outer(X @ mirror, mirror)
    return (X + 0.5).astype(np.float32), Targets.of_classes(labels)


def cutpoint_path(X: np.ndarray, targets: Targets, alphas: np.ndarray) -> LooPath:
    return loo_path(Spectrum(X), targets.Y, alphas)


def ridge_cv(X: np.ndarray, targets: Targets, alphas: np.ndarray) -> np.ndarray:
    """Return squared errors (n_rows, n_classes, n_alphas)."""
    found: np.ndarray = RidgeCV(alphas, store_cv_results=True).fit(X, targets.Y).cv_results_
    return found


def timed(way: Callable[..., Any], *arguments: Any) -> tuple[float, float, Any]:
    """Return CPU and wall seconds, and what the way returns."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = way(*arguments)
    return time.process_time() - cpu, time.perf_counter() - wall, found


def largest_difference(X: np.ndarray, targets: Targets, alphas: np.ndarray) -> float:
    """Compare mean errors of all λ, and each row's at the first, best and last.

    RidgeCV gets float64 here: of float32 features it returns its float64 results rounded.
    """
    path = cutpoint_path(X, targets, alphas)
    reference = ridge_cv(X.astype(np.float64), targets, alphas)
    found = np.abs(path.squared_errors - reference.mean(axis=0).T).max()
    spectrum = Spectrum(X)
    for place in (0, path.best, N_ALPHAS - 1):
        rows = np.square(spectrum.loo(targets.Y, alphas[place]) - targets.Y)
        found = max(found, np.abs(rows - reference[:, :, place]).max())
    return float(found)


def measure(width: int, n_pools: int) -> dict[str, Any]:
    """Return medians of CPU and wall seconds of one candidate of this width, by way."""
    seconds: dict[str, list[tuple[float, float]]] = {"cutpoint": [], "judge": [], "RidgeCV": []}
    difference = 0.0
    for pool in range(n_pools):
        X, targets = draw(width, seed=1000 * pool + width)
        alphas = alpha_grid(Spectrum(X), N_ALPHAS)
        difference = max(difference, largest_difference(X, targets, alphas))
        if difference > TOLERANCE:
            raise SystemExit(f"The numbers differ by {difference:.1e}: no time is believed.")
        for _ in range(N_ROUNDS):
            seconds["cutpoint"].append(timed(cutpoint_path, X, targets, alphas)[:2])
            seconds["RidgeCV"].append(timed(ridge_cv, X, targets, alphas)[:2])
            seconds["judge"].append(timed(judge, X, targets, N_ALPHAS)[:2])
    medians = {
        way: (median(cpu for cpu, _ in found), median(wall for _, wall in found))
        for way, found in seconds.items()
    }
    return {"width": width, "difference": difference, **medians}


def by_the_clock() -> list[float]:
    """Return wall seconds of all candidates: ours, RidgeCV's with all cores and with one."""
    tasks = []
    for width in WIDTHS:
        for pool in range(N_POOLS):
            X, targets = draw(width, seed=1000 * pool + width)
            tasks.append((X, targets, alpha_grid(Spectrum(X), N_ALPHAS)))

    def ours() -> None:
        list(side_by_side([partial(cutpoint_path, *task) for task in tasks], n_cores()))

    def theirs(n_threads: int) -> None:
        with threadpool_limits(n_threads):
            for task in tasks:
                ridge_cv(*task)

    ways = (ours, partial(theirs, n_cores()), partial(theirs, 1))
    turns = [[timed(way)[1] for way in ways] for _ in range(N_ROUNDS)]
    return [median(each) for each in zip(*turns, strict=True)]


def row(name: str, found: dict[str, Any], difference: float) -> str:
    ours, theirs, all_of_it = found["cutpoint"][0], found["RidgeCV"][0], found["judge"][0]
    ratio = f"{theirs / ours:.1f}×"
    cells = (name, f"{ours:.3f} s", f"{theirs:.3f} s", ratio, f"{all_of_it:.3f} s")
    return f"| {' | '.join(cells)} | {difference:.0e} |"


def main() -> None:
    lines = [
        "# The speed of choosing",
        "",
        f"`python benchmarks/choose_speed.py` on {machine()}; one core",
        f"used; scikit-learn {sklearn.__version__}. {N_ROWS} drawn rows of {N_CLASSES} classes, "
        f"{N_ALPHAS} λ, leave-one-out.",
        f"CPU seconds of one candidate, medians of {N_POOLS} × {N_ROUNDS} turns, on a machine",
        "shared with others. Judge: the same with log-evidence and H-score.",
        "Difference: the largest between the two, of any mean or row's squared error.",
        "",
        "| features | cutpoint | RidgeCV | ratio | judge | difference |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    results = []
    for width in WIDTHS:
        results.append(measure(width, N_POOLS))
        lines.append(row(str(width), results[-1], results[-1]["difference"]))
        print(lines[-1], flush=True)
    total = {
        way: tuple(N_POOLS * sum(found[way][clock] for found in results) for clock in (0, 1))
        for way in ("cutpoint", "RidgeCV", "judge")
    }
    worst = max(found["difference"] for found in results)
    lines.append(row(f"**{len(WIDTHS)} layers × {N_POOLS} pools**", total, worst))
    wide = measure(WIDE, 1)
    lines.append(row(f"{WIDE} (one candidate more, not in the sum)", wide, wide["difference"]))
    mine, other, alone = by_the_clock()
    lines += [
        "",
        f"By the clock, {N_ROUNDS} turns, {n_cores()} cores: {mine:.1f} s side by side; RidgeCV",
        f"{other:.1f} s with all cores, {alone:.1f} s with one: "
        f"**{min(other, alone) / mine:.1f}×** against its better.",
        "",
        "With fewer features than rows RidgeCV multiplies matrices of that width for every λ;",
        "here λ costs a column of one product. With more, both decompose the same N × N matrix,",
        "and that is nearly all there is.",
    ]
    print("\n".join(lines[-8:]))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
