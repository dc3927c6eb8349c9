"""Pools × recipes on three data sets at 10, 20 and all items a class: accuracy with its spread.

    python benchmarks/recipes.py

Writes docs/benchmarks/recipes.md. Needs ../shared; without it nothing is written. The layers are
fixed; λ and recipe are fitted on the drawn training rows; the test rows are scored once a draw.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.learning.heads import RidgeHead  # noqa: E402
from cutpoint.learning.metrics import wilson  # noqa: E402
from cutpoint.learning.recipe import fit_recipe, parse_recipe  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "recipes.md"
DATA = ("dogs-vs-cats", "caltech20", "chest-xray")
TAPS = ("blocks.6", "bn2")
SHOTS = (10, 20, None)
SEEDS = range(5)
# Recipe → which of the two taps it sees.
RECIPES = {
    "gap": ("bn2",),
    "gmp": ("bn2",),
    "gem": ("bn2",),
    "rmac": ("bn2",),
    "spp(1,2)": ("bn2",),
    "gap | l2": ("bn2",),
    "gap | power(0.5) | l2": ("bn2",),
    "gap | zscore": ("bn2",),
    "gap | l2 | concat": TAPS,
    "gem | l2 | concat | pca(64, whiten) | l2": TAPS,
    "gem | l2 | concat | pca(512, whiten) | l2": TAPS,
    "gap | f_test(0.25)": ("bn2",),
}


def draw(features: Any, shots: int | None, seed: int) -> Any:
    """Return training rows: so many a class, or all."""
    rows = features.rows_of("train")
    if shots is None:
        return rows
    random = np.random.default_rng(seed)
    labels = features.labels[rows].astype(str)
    picks = [random.permutation(rows[labels == name])[:shots] for name in np.unique(labels)]
    return np.sort(np.concatenate(picks))


def accuracy(features: Any, text: str, shots: int | None, seed: int) -> float:
    recipe = parse_recipe(text)
    (pool,) = recipe.pools
    taps = [f"{layer}/{pool}" for layer in RECIPES[text]]
    rows, tests = draw(features, shots, seed), features.rows_of("test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more components than rows are capped, and said so
        fitted, X = fit_recipe(recipe, features, taps, rows)
    head = RidgeHead().fit(X, features.labels[rows].astype(str), features.group_numbers(rows))
    found = head.predict(fitted.of(features, tests))
    return float((found == features.labels[tests].astype(str)).mean())


def table(name: str, scratch: Path) -> list[str]:
    pools = sorted({parse_recipe(text).pools[0] for text in RECIPES})
    backbone = api.load("packaged:efficientnet_lite0")
    data = SHARED / "data" / name
    features = api.extract(data, backbone, TAPS, pools, scratch / name)
    n_test = len(features.rows_of("test"))
    lines = [
        f"## {name}, {n_test} to test",
        "",
        "| recipe | taps | 10 a class | 20 a class | all |",
        "|---|---|---|---|---|",
    ]
    for text in RECIPES:
        cells = []
        for shots in SHOTS:
            seeds = SEEDS if shots else [0]
            found = np.array([accuracy(features, text, shots, seed) for seed in seeds])
            interval = wilson(round(found.mean() * n_test), n_test)
            spread = f" (draws {found.min():.3f} – {found.max():.3f})" if shots else ""
            cells.append(f"{found.mean():.3f} [{interval.low:.3f}, {interval.high:.3f}]{spread}")
        typed = text.replace("|", "\\|")  # a bar would end the cell
        lines.append(f"| `{typed}` | {' + '.join(RECIPES[text])} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    lines = [
        "# Pools and recipes",
        "",
        f"`python benchmarks/recipes.py` on {machine()}.",
        "EfficientNet-Lite0, frozen, layers `blocks.6` and `bn2`; ridge head, λ by leave-one-out.",
        "Mean test accuracy over 5 draws of the training rows (all: one), with Wilson's 95 %",
        "interval for this many test rows; behind it the least and most of the draws. All recipes",
        "are scored on the same rows: intervals side by side are no test of a difference, and none",
        "was made. Plain `gap` is the cheapest.",
        "",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name in DATA:
            lines += table(name, Path(scratch))
    OUT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
