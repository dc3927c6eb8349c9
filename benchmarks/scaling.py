"""What bringing columns to one scale does to each head: z-score, floored, or one scale a tap.

    python benchmarks/scaling.py

Writes docs/benchmarks/scaling.md. Needs ../shared; without it nothing is written. One tap, so many
training rows a class, six draws; each head chooses what it chooses on those rows, and all test rows
are scored once a draw. The z-score of a head that is trained by PyTorch is what it did before.
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
from benchmarks.recipes import DATA, SHARED, draw  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.learning.heads import parse_head  # noqa: E402
from cutpoint.learning.transforms import Scale, ZScore  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "scaling.md"
TAP = "bn2/gap"
SHOTS, SEEDS = (2, 5, 20, None), range(6)
HEADS = ("ridge", "mlp")
SCALINGS = {"scale": Scale(), "zscore": ZScore(), "zscore(floor=0.1)": ZScore(floor=0.1)}


def outcomes(features: Any, head: str, rows: Any) -> dict[str, tuple[float, float]]:
    """Return scaling → test accuracy and the largest |value| of a test row, of one draw."""
    tests = features.rows_of("test")
    y, y_test = features.labels[rows].astype(str), features.labels[tests].astype(str)
    found = {}
    for name, scaling in SCALINGS.items():
        X = scaling.fit_transform(features.X(TAP, rows))
        X_test = scaling.transform(features.X(TAP, tests))
        fitted = parse_head(head).fit(X, y, groups=features.group_numbers(rows))
        found[name] = float((fitted.predict(X_test) == y_test).mean()), float(abs(X_test).max())
    return found


def cell(draws: list[dict[str, tuple[float, float]]]) -> str:
    """Return one row's figures: accuracy with one scale, and what the others differ by."""
    accuracy = {name: np.array([each[name][0] for each in draws]) for name in SCALINGS}
    words = [f"{accuracy['scale'].mean():.3f}"]
    for name in list(SCALINGS)[1:]:
        gaps = 100 * (accuracy[name] - accuracy["scale"])
        words.append(f"{gaps.mean():+.1f} [{gaps.min():+.1f}, {gaps.max():+.1f}]")
    words += [f"{max(each[name][1] for each in draws):,.0f}" for name in SCALINGS]
    return " | ".join(words)


def table(name: str, scratch: Path) -> list[str]:
    features = api.extract(
        SHARED / "data" / name, "packaged:efficientnet_lite0", ["bn2"], "gap", scratch, quiet=True
    )
    lines = [
        f"## {name}",
        "",
        "| a class | head | `scale` | `zscore` | `zscore(floor=0.1)` "
        "| largest value: `scale` | `zscore` | floored |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shots in SHOTS:
        for head in HEADS:
            seeds = SEEDS if shots else SEEDS[:1]
            draws = [outcomes(features, head, draw(features, shots, seed)) for seed in seeds]
            lines.append(f"| {shots or 'all'} | `{head}` | {cell(draws)} |")
            print(name, lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    warnings.simplefilter("ignore")  # heads of two rows a class say that they learn little
    lines = [
        "# One scale, or one a column",
        "",
        f"`python benchmarks/scaling.py` on {machine()}.",
        f"EfficientNet-Lite0, frozen, `{TAP}`, 1280 features; {len(SEEDS)} draws of so many",
        "training rows a class, all test rows. Accuracy with one scale for all columns, then the",
        "mean difference to it in points [least, most over the draws], then the largest value of a",
        "test row once scaled.",
        "",
        "One scale is what these heads do by default: ridge takes its penalty in units of the mean",
        "squared length of a centred row, which is the same, as do logistic regression and the SVM",
        "(not measured here), and the MLP divides by one deviation.",
        "",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name in DATA:
            lines += table(name, Path(scratch) / name)
    OUT.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
