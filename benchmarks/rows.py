"""Reading rows of a store: one by one, in chunks, all; whether the cost grows with the store.

    python benchmarks/rows.py

Writes docs/benchmarks/rows.md. Stores of random rows are made in a temporary folder, 128 rows a
shard, as `extract` makes them. Processor time, as the disk is the machine's and its cache is warm.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint.features.extraction.plan import UNIT_SIZE  # noqa: E402
from cutpoint.features.store import CHUNK_ROWS, Features, FeatureStore  # noqa: E402
from cutpoint.features.store.shard import write_shard  # noqa: E402
from cutpoint.testing import FakeBackbone  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "rows.md"
SIZES = ((20_000, 64), (200_000, 64), (1_000_000, 64), (20_000, 1280))
TAP, N_LOOKED_UP = "conv3/gap", 1000
TAIL = [
    "",
    "When the columns of all items were made anew in each call, one row of 200,000 took 34 ms on",
    "the same machine, and a part of `chunks()` 42 ms.",
]
SPEC = FakeBackbone().feature_spec(["conv3"], ["gap"])


def filled(folder: Path, n_rows: int, n_columns: int) -> Features:
    """Return a store of random rows, opened."""
    random, store = np.random.default_rng(0), FeatureStore(folder)
    digests = [bytes(digest).hex() for digest in random.integers(0, 256, (n_rows, 32), np.uint8)]
    target = store.shard_folder(SPEC.fingerprint())
    with store.writing(SPEC, lambda: None):
        for start in range(0, n_rows, UNIT_SIZE):
            some = digests[start : start + UNIT_SIZE]
            rows = random.normal(size=(len(some), n_columns)).astype(np.float32)
            store.catalog.commit(write_shard(target, SPEC, some, {TAP: rows}, "native"))
    items = [[f"{row:09d}", digest, None, None, None] for row, digest in enumerate(digests)]
    return store.features_of({"spec": SPEC.to_json(), "name": "random", "items": items})


def took(work: Callable[[], Any]) -> float:
    """Return the processor time of `work`, ms."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def consumed(parts: Iterator[np.ndarray]) -> None:
    for _ in parts:
        pass


def row_of(features: Features) -> str:
    n_rows = len(features)
    opened = took(lambda: FeatureStore(features.folder.parents[1]).features_of(features.fields))
    first = took(lambda: features.X(TAP))
    whole = took(lambda: features.X(TAP))
    random = np.random.default_rng(1).integers(0, n_rows, (N_LOOKED_UP, 1))
    one = statistics.median(took(lambda row=row: features.X(TAP, row)) for row in random)
    chunks = took(lambda: consumed(features.chunks(TAP)))
    n_parts = -(-n_rows // CHUNK_ROWS)
    n_columns = features.X(TAP, np.array([0])).shape[1]
    return (
        f"| {n_rows:,} × {n_columns} | {opened:,.0f} | {first:,.0f} | {whole:,.0f} "
        f"| **{one:.3f}** | {chunks:,.0f} | {chunks / n_parts:.2f} |"
    )


def head() -> list[str]:
    return [
        "# Reading rows",
        "",
        f"`make bench` on {machine()}.",
        f"Processor time in ms. Stores of random rows, {UNIT_SIZE} a shard, one tap. `places`:",
        "each item's row is looked up in the catalog, once, when a data set is opened. The first",
        "`X()` of all rows hashes each shard as a whole and by blocks of 16 KiB; each read, later",
        "ones too, hashes the blocks it takes before a byte of them is used. One row is the median",
        f"of {N_LOOKED_UP} drawn ones; a part of `chunks()` is {CHUNK_ROWS} rows.",
        "",
        "| rows × columns | places | first `X()` | `X()` again | one row | `chunks()` | a part |",
        "|---|---|---|---|---|---|---|",
    ]


def main() -> None:
    lines = head()
    for n_rows, n_columns in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(row_of(filled(Path(folder), n_rows, n_columns)))
        print(lines[-1], flush=True)
    OUT.write_text("\n".join([*lines, *TAIL]) + "\n")


if __name__ == "__main__":
    main()
