"""Fine-tuning from the cut: exactness, processor time, and what it brings on chest X-rays.

    python benchmarks/finetune.py exact cost chest

Writes docs/benchmarks/finetune.md from what has been measured so far (build/finetune.json). Needs
../shared; EfficientNet-Lite0 at 128 px.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from cutpoint import api  # noqa: E402
from cutpoint.base.spec import PreprocessSpec  # noqa: E402
from cutpoint.products.predictor import Predictor  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "finetune.md"
KEPT = ROOT / "build" / "finetune.json"
SIDE = 128
LAYERS = ("blocks.4", "blocks.5", "blocks.6", "bn2")
SEEDS = (0, 1, 2)
RATE = 1e-4


@dataclass(frozen=True)
class Rows:
    """Photos with labels, groups and splits."""

    paths: list[Path]
    labels: list[str]
    groups: list[str]
    splits: list[str]

    @property
    def words(self) -> dict[str, Any]:
        return {"labels": self.labels, "groups": self.groups, "splits": self.splits}


def label_of(path: Path) -> str:
    """Return normal, bacteria or virus, as the file's name says."""
    name = path.name.lower()
    return next((kind for kind in ("bacteria", "virus") if kind in name), "normal")


def group_of(path: Path) -> str:
    """Return the patient: ``person1144``, or ``IM-0592``."""
    parts = path.stem.replace("NORMAL2-", "").split("_")
    return parts[0] if parts[0].startswith("person") else "-".join(parts[0].split("-")[:2])


def chest(n_a_class: int, seed: int) -> Rows:
    """Return so many training photos a class, drawn, and all 400 test photos."""
    folder = SHARED / "data" / "chest-xray"
    train = sorted((folder / "train").rglob("*.jpeg"))
    test = sorted((folder / "test").rglob("*.jpeg"))
    own = {group_of(path) for path in test}
    random = np.random.default_rng(seed)
    taken: list[Path] = []
    for kind in ("normal", "bacteria", "virus"):
        usable = [path for path in train if label_of(path) == kind and group_of(path) not in own]
        taken += [usable[place] for place in sorted(random.permutation(len(usable))[:n_a_class])]
    paths = [*taken, *test]
    splits = ["train"] * len(taken) + ["test"] * len(test)
    return Rows(paths, [label_of(p) for p in paths], [group_of(p) for p in paths], splits)


def backbone() -> Any:
    own = PreprocessSpec(round(SIDE * 256 / 224), SIDE, "bicubic", (127.5,) * 3, (127.5,) * 3)
    return api.load("packaged:efficientnet_lite0", preprocess=own)


def fused(rows: Rows, network: Any) -> Predictor:
    """Return the frozen predictor: the last four block ends, fused, logistic."""
    return api.fit(
        rows.paths,
        backbone=network,
        taps=list(LAYERS),
        recipe="gap | concat | fuse",
        head="logistic",
        quiet=True,
        **rows.words,
    )


def figures(predictor: Predictor) -> dict[str, float]:
    scores = (predictor.card.evaluation or {})["scores"]
    return {"accuracy": scores["accuracy"]["value"], "nll": scores["log_loss"]}


WAYS: dict[str, dict[str, Any]] = {
    "last:2 fixed": {"unfreeze": "last:2", "lr": RATE, "alphas": [1.0], "choose": False},
    "last:2 chosen": {"unfreeze": "last:2"},
}


def measure_chest(kept: dict[str, Any], size: int = 33) -> None:
    for name, how in WAYS.items():
        for seed in SEEDS:
            rows = chest(size, seed)
            key = f"chest {size} {seed}"
            if f"{key} {name}" in kept:
                continue
            start = fused(rows, backbone())
            keep(kept, f"{key} frozen", figures(start))
            begun, cpu = time.time(), time.process_time()
            tuned = api.finetune(rows.paths, start=start, **how, **rows.words)
            found: dict[str, Any] = figures(tuned)
            found |= {"seconds": time.time() - begun, "cpu": time.process_time() - cpu}
            found["taken"] = (tuned.card.finetune or {})["text"]
            keep(kept, f"{key} {name}", found)
            print(key, name, found, flush=True)


def keep(kept: dict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(kept, indent=1))


MEASURES = {"chest": measure_chest}


def main() -> None:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in sys.argv[1:] or MEASURES:
        MEASURES[name](kept)


if __name__ == "__main__":
    main()
