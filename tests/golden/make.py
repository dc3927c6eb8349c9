"""Make the golden files of a format. Run once when a format is made; never again for that format.

python -m tests.golden.make NUMBER
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import cutpoint as cp
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.features.store.ragged import fill_ragged, sentences

HERE = Path(__file__).parent
POOLS = ("gap", "gmp", "grid(2)")  # vectors, and maps in half precision


def row_sums(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1).sum(axis=1, dtype=np.float64)


def format_1() -> None:
    pixels = np.stack([noisy_image(row % 3, row) for row in range(60)])
    labels = [("red", "green", "blue")[row % 3] for row in range(60)]
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "golden.cutpoint"
        store = HERE / "store-v1"
        given = {"pool": POOLS, "store": store, "labels": labels, "quiet": True}
        model = cp.fit(pixels, output, FakeBackbone(), **given)
        model.card.store = "golden"
        model.save(HERE / "predictor-v1")
    found = cp.predict(model, [noisy_image(row % 3, row + 500) for row in range(12)], quiet=True)
    rows = [{"label": each.label, "probability": each.probability} for each in found]
    (HERE / "predictions-v1.json").write_text(json.dumps(rows, indent=1))
    features = cp.extract(pixels, FakeBackbone(), **given)
    sums = {tap: row_sums(features.X(tap)).tolist() for tap in features.taps}
    (HERE / "features-v1.json").write_text(json.dumps(sums))
    shutil.rmtree(store / "locks")


def format_2() -> None:
    """Rows that differ in length, along the first and along the second axis, beside vectors."""
    store = HERE / "store-v2"
    features = fill_ragged(store, sentences(40)[0]).features
    found = {
        tap: [[list(row.shape), float(row.sum(dtype=np.float64))] for row in features.rows(tap)]
        for tap in features.taps
    }
    (HERE / "features-v2.json").write_text(json.dumps(found))
    shutil.rmtree(store / "locks")


if __name__ == "__main__":
    {"1": format_1, "2": format_2}[sys.argv[1]]()
