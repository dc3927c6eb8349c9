"""Twenty λ of a ridge head on many rows: all leave-one-out errors against folds × λ refits.

    python benchmarks/ridge_path.py

50,000 drawn rows of 2048 features and 100 classes. Ours gives the exact leave-one-out error of each
λ from one decomposition; the other fits scikit-learn's `Ridge` once a fold and λ, 5 × 20 cells, of
which a few are timed and the rest counted. Writes docs/benchmarks/ridge-path.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint.learning.gram import Spectrum, alpha_grid, loo_path, one_hot  # noqa: E402
from cutpoint.learning.gram.path import LooPath  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "ridge-path.md"
N_ROWS, N_FEATURES, N_CLASSES, N_ALPHAS, N_FOLDS, N_TURNS = 50_000, 2048, 100, 20, 5, 3


def draw() -> tuple[np.ndarray, np.ndarray]:
    """Return features with a falling spectrum that tell the classes apart in part."""
    random = np.random.default_rng(0)
    labels = random.integers(0, N_CLASSES, N_ROWS)
    scales = 1 / np.sqrt(np.arange(1, N_FEATURES + 1))
    centres = random.normal(size=(N_CLASSES, N_FEATURES)) * scales * 0.6
    X = centres[labels] + random.normal(size=(N_ROWS, N_FEATURES)) * scales
    return X.astype(np.float32), one_hot(labels, range(N_CLASSES))


def leave_one_out(X: np.ndarray, Y: np.ndarray) -> LooPath:
    spectrum = Spectrum(X)
    return loo_path(spectrum, Y, alpha_grid(spectrum, N_ALPHAS))


def one_cell(X: np.ndarray, Y: np.ndarray, fold: tuple, alpha: float) -> float:
    """Fit scikit-learn's ridge on a fold's training rows; return its error on the others."""
    learn, judge = fold
    head = Ridge(alpha).fit(X[learn], Y[learn])
    return float(np.square(head.predict(X[judge]) - Y[judge]).mean())


def timed(way: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """Return what the way returns, seconds on the clock and of processors."""
    start, cpu = time.perf_counter(), time.process_time()
    found = way(*arguments)
    return found, time.perf_counter() - start, time.process_time() - cpu


def main() -> None:
    X, Y = draw()
    folds = list(KFold(N_FOLDS).split(X))
    ways, cells = [], []
    for turn in range(N_TURNS):
        ways.append(timed(leave_one_out, X, Y))
        path = ways[-1][0]
        cells.append(timed(one_cell, X, Y, folds[turn], path.alpha))
        print(*(f"{each:.1f} s" for each in (*ways[-1][1:], *cells[-1][1:])), flush=True)
    ours, ours_cpu = np.median([each[1:] for each in ways], axis=0)
    cell_s, cell_cpu = np.median([each[1:] for each in cells], axis=0)
    n_cells = N_FOLDS * N_ALPHAS
    error = np.mean([each[0] for each in cells])
    lines = [
        "# Twenty λ on fifty thousand rows",
        "",
        f"`python benchmarks/ridge_path.py` on {machine()}; scikit-learn {sklearn.__version__}.",
        f"{N_ROWS} drawn float32 rows of {N_FEATURES} features and {N_CLASSES} classes, "
        f"{N_ALPHAS} λ.",
        f"Of scikit-learn's {n_cells} cells (5 folds × 20 λ) {N_TURNS} were timed, on rows in",
        "float32, by turns with ours, medians; the rest is multiplication. Ours is in float64.",
        "",
        "| way | seconds | processor seconds | error² at the best λ |",
        "|---|---|---|---|",
        f"| cutpoint, exact leave-one-out | {ours:.1f} | {ours_cpu:.1f} | {path.mse:.5f} |",
        f"| one `Ridge` | {cell_s:.2f} | {cell_cpu:.2f} | {error:.5f} |",
        f"| all {n_cells} | {n_cells * cell_s:.0f} | {n_cells * cell_cpu:.0f} | |",
        "",
        f"**{n_cells * cell_s / ours:.0f}×** by the clock, {n_cells * cell_cpu / ours_cpu:.0f}× by "
        "processor time.",
        "",
    ]
    OUT.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
