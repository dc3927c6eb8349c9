"""Heads side by side on stored features of three data sets: accuracy with interval, and processor
seconds.

    python benchmarks/heads.py

Writes docs/benchmarks/heads.md. Needs ../shared; without it nothing is written. Features are
extracted once; every head chooses on the training rows, the test rows are scored once a head.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.learning.heads import HEADS, parse_head, run_protocol  # noqa: E402
from cutpoint.learning.metrics import calibration_error, wilson  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "heads.md"
DATA = ("dogs-vs-cats", "caltech20", "chest-xray")
KINDS = [kind for kind, head in HEADS.items() if head.takes == "vectors"]
PROTOCOLS = ("dinov2-45", "elevater97", "mteb")
TAP = "bn2/gap"


def row(text: str, X: Any, y: Any, groups: Any, X_test: Any, y_test: Any) -> str:
    start = time.process_time()
    head = parse_head(text).fit(X, y, groups)
    seconds = time.process_time() - start
    probabilities = head.predict_proba(X_test)
    is_right = head.classes_[probabilities.argmax(axis=1)] == y_test
    accuracy = wilson(int(is_right.sum()), len(y_test))
    error = calibration_error(probabilities.max(axis=1), is_right)
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in head.chosen.items()) or "–"
    return f"| `{text}` | {accuracy} | {error:.3f} | {chosen} | {seconds:.2f} s |"


def protocol_row(name: str, X: Any, y: Any, groups: Any, X_test: Any, y_test: Any) -> str:
    start = time.process_time()
    found = run_protocol(name, X, y, X_test, y_test, groups=groups)
    seconds = time.process_time() - start
    if len(found.draws) > 1:
        chosen = f"{len(found.draws)} draws, deviation {found.deviation:.3f}"
    else:
        chosen = ", ".join(f"{key} {value:.3g}" for key, value in found.chosen[0].items())
    return f"| protocol `{name}` | {found.accuracy} | – | {chosen} | {seconds:.2f} s |"


def table(name: str, scratch: Path) -> list[str]:
    layer, pool = TAP.split("/")
    data = SHARED / "data" / name
    features = api.extract(data, "packaged:efficientnet_lite0", [layer], pool, scratch / name)
    rows, tests = features.rows_of("train"), features.rows_of("test")
    X, X_test = features.X(TAP, rows), features.X(TAP, tests)
    y, y_test = features.labels[rows].astype(str), features.labels[tests].astype(str)
    groups = features.group_numbers(rows)
    lines = [
        f"## {name}: {len(rows)} to train, {len(tests)} to test, {len(np.unique(y))} classes",
        "",
        "| head | test accuracy, 95 % | ECE | chosen on rows left out | fit |",
        "|---|---|---|---|---|",
    ]
    for each, names in ((row, KINDS), (protocol_row, PROTOCOLS)):
        for text in names:
            lines.append(each(text, X, y, groups, X_test, y_test))
            print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    lines = [
        "# Heads side by side",
        "",
        f"`python benchmarks/heads.py` on {machine()}.",
        f"EfficientNet-Lite0, frozen, `{TAP}`, 1280 features. Time is the processor's, for fitting",
        "with all choices and the temperature. Where intervals overlap there is no winner.",
        "Where many candidates are equal on the validation rows, a protocol keeps the first: here",
        "a very small C on dogs-vs-cats.",
        "",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name in DATA:
            lines += table(name, Path(scratch))
    OUT.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
