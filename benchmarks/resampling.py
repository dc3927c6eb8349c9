"""How often a t-test over folds finds a difference between two models that are equally good.

    python benchmarks/resampling.py

Writes docs/benchmarks/resampling.md and .svg. Each run draws 100 items of two classes with two
sets of features of one distribution, and gives each set to a ridge classifier: neither can be
better but by chance. Both are scored in 5 folds, 10 times over.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import ttest_1samp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint.learning.metrics import corrected_resampled_t, wilson  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "resampling"
N_RUNS, N_ITEMS, N_FEATURES, N_FOLDS, N_REPEATS = 300, 100, 10, 5, 10
SHIFT, PENALTY = 0.3, 1.0  # about 80 % right
N_TEST = N_ITEMS // N_FOLDS
N_TRAIN = N_ITEMS - N_TEST


def folds(random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield which items each fold of each repeat tests on."""
    for _ in range(N_REPEATS):
        for places in random.permutation(N_ITEMS).reshape(N_FOLDS, N_TEST):
            yield np.isin(np.arange(N_ITEMS), places)


def accuracy(X: np.ndarray, y: np.ndarray, tested: np.ndarray) -> float:
    """Return the accuracy of ridge regression on ±1, fitted on the rest."""
    mean = X[~tested].mean(axis=0)
    rows = X[~tested] - mean
    gram = rows.T @ rows + PENALTY * np.eye(X.shape[1])
    weights = np.linalg.solve(gram, rows.T @ y[~tested])
    found = (X[tested] - mean) @ weights + y[~tested].mean()
    return float(((found > 0) == (y[tested] > 0)).mean())


def differences(seed: int) -> np.ndarray:
    """Return the accuracy of the one model minus that of the other, fold by fold."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat([-1.0, 1.0], N_ITEMS // 2))
    one, other = random.normal(size=(2, N_ITEMS, N_FEATURES)) + SHIFT * y[:, None]
    return np.array([accuracy(one, y, t) - accuracy(other, y, t) for t in folds(random)])


def p_values(n_runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the plain and of the corrected test."""
    found = [differences(seed) for seed in range(n_runs)]
    plain = np.array([ttest_1samp(each, 0.0).pvalue for each in found])
    corrected = [corrected_resampled_t(each, N_TRAIN, N_TEST).p_value for each in found]
    return plain, np.array(corrected)


def draw(plain: np.ndarray, corrected: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    levels = np.linspace(0, 0.2, 201)
    for name, found in (("plain t-test", plain), ("corrected (Nadeau–Bengio)", corrected)):
        axes.plot(levels, [(found < level).mean() for level in levels], label=name)
    axes.plot(levels, levels, "k:", label="as promised")
    axes.set_xlabel("level α")
    axes.set_ylabel("share of runs with p < α")
    axes.set_ylim(0, 1)
    axes.legend()
    figure.savefig(OUT.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    start = time.perf_counter()
    plain, corrected = p_values(N_RUNS)
    seconds = time.perf_counter() - start
    rows = [
        f"| {name} | {wilson(int((found < 0.05).sum()), N_RUNS)} |"
        for name, found in (("plain", plain), ("corrected", corrected))
    ]
    lines = [
        "# Two equal models, compared over folds",
        "",
        f"`python benchmarks/resampling.py` on {machine()}, {seconds:.0f} s.",
        f"{N_RUNS} runs of {N_ITEMS} drawn items, {N_REPEATS} × {N_FOLDS} folds. Two ridge",
        "classifiers see features of one distribution, so no difference is real.",
        "",
        "| t-test over the 50 differences | runs with p < 0.05 [95 %] |",
        "|---|---|",
        *rows,
        "",
        "The plain test takes the folds for independent; they share most of their training rows.",
        "`cutpoint.metrics.corrected_resampled_t` counts that in (Nadeau and Bengio 2003).",
        "",
        "![share of runs below each level](resampling.svg)",
    ]
    print("\n".join(lines))
    OUT.with_suffix(".md").write_text("\n".join(lines) + "\n")
    draw(plain, corrected)


if __name__ == "__main__":
    main()
