"""Fine-tuning from the cut: exactness, processor time, and what it brings on chest X-rays.

    python benchmarks/finetune.py exact cost chest

Writes docs/benchmarks/finetune.md from what has been measured so far (build/finetune.json). Needs
../shared; EfficientNet-Lite0 at 128 px.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.base.contracts import ACTIVATION, Tuning  # noqa: E402
from cutpoint.base.spec import PreprocessSpec, TapSpec  # noqa: E402
from cutpoint.base.types import Array  # noqa: E402
from cutpoint.features.extraction.unit import prepare  # noqa: E402
from cutpoint.items.reading import Item  # noqa: E402
from cutpoint.learning.finetune import FreshRows, TapScales, parse_unfreeze  # noqa: E402
from cutpoint.networks.engines import ENGINES  # noqa: E402
from cutpoint.products.finetuning import FinetuneOptions  # noqa: E402
from cutpoint.products.finetuning.cutting import CutNetwork, cut_for  # noqa: E402
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


def cut_of(network: Any, unfreeze: str, taps: Sequence[str]) -> CutNetwork:
    specs = tuple(TapSpec(tap, "gap") for tap in taps)
    return cut_for(network, specs, FinetuneOptions(parse_unfreeze(unfreeze), device="cpu"))


def tuning_of(made: CutNetwork, taps: Sequence[str], width: int) -> Tuning:
    chain = TapScales(tuple((f"{tap}/gap", 1.0) for tap in taps))
    W = np.random.default_rng(0).normal(size=(width, 3)) * 0.01
    return Tuning(made.trainable, chain, W, np.zeros(3))


def pixels(network: Any, rows: Rows, n: int) -> Array:
    items = [Item(str(path), path) for path in rows.paths[:n]]
    prepared = [prepare(item, network.spec.preprocess)[0]["image"] for item in items]
    return np.stack(prepared)


def measure_exact(kept: dict[str, Any]) -> None:
    """Train twelve steps of the whole network, and of the suffix on what each engine stored."""
    network, rows = backbone(), chest(33, 0)
    taps = ("blocks.6", "bn2")
    made = cut_of(network, "last:1", taps)
    tuning = tuning_of(made, taps, 1600)
    images, truth = pixels(network, rows, 64), np.arange(64) % 3
    ways = {"fp32, native": (np.float32, "native"), "fp16, native": (np.float16, "native")}
    ways["fp32, openvino"] = (np.float32, "openvino")
    order = [np.random.default_rng([0, epoch]).permutation(64) for epoch in range(6)]
    batches = [each[half : half + 32] for each in order for half in (0, 32)]
    trains, table = network.trained_by, network.layers()
    whole = trains.make_suffix(
        network.held_network(), network.spec, made.suffix.taps, "", table
    ).trainer(tuning)
    expected = [whole.step({"image": images[b]}, truth[b], 3e-4) for b in batches]
    cut = network.cut_at([TapSpec(made.cut, "none")])
    for name, (dtype, engine) in ways.items():
        run = ENGINES[engine](cut, 1).session()
        trainer = made.suffix.trainer(tuning)
        found = []
        for batch in batches:
            stored = run({"image": images[batch]})[f"{made.cut}/none"].astype(dtype)
            found.append(trainer.step({ACTIVATION: stored}, truth[batch], 3e-4))
        own, truths = trainer.weights(), whole.weights()
        keep(
            kept,
            f"exact {name}",
            {
                "loss": float(np.abs(np.array(found) - expected).max()),
                "weights": max(float(np.abs(own[n] - truths[n]).max()) for n in truths),
            },
        )
        print(name, kept[f"exact {name}"], flush=True)


def measure_cost(kept: dict[str, Any], n: int = 64, n_steps: int = 6) -> None:
    """Measure processor seconds a photo: extraction, a step from the cut, an ordinary step."""
    network, rows = backbone(), chest(33, 0)
    taps = ("blocks.6", "bn2")
    made = cut_of(network, "last:1", taps)
    tuning = tuning_of(made, taps, 1600)
    items, truth = [Item(str(path), path) for path in rows.paths[:n]], np.arange(32) % 3
    fresh = FreshRows(items, network.spec.preprocess, 1000)
    which = np.arange(32)
    cut = network.cut_at([TapSpec(made.cut, "none")])
    run = ENGINES["openvino"](cut, 1).session()
    run(fresh.batch(which, which))

    def timed(work: Callable[[int], Any]) -> float:
        work(0)
        start = time.process_time()
        for number in range(1, n_steps + 1):
            work(number)
        return (time.process_time() - start) / n_steps / 32

    trains, table = network.trained_by, network.layers()
    whole = trains.make_suffix(
        network.held_network(), network.spec, made.suffix.taps, "", table
    ).trainer(tuning)
    images = {"image": pixels(network, rows, 32)}
    stored = {ACTIVATION: run(images)[f"{made.cut}/none"].astype(np.float16)}
    trainer = made.suffix.trainer(tuning)
    keep(
        kept,
        "cost",
        {
            "prepare": timed(lambda k: fresh.batch(which, which + k)),
            "prefix": timed(lambda k: run(images)),
            "step from the cut": timed(lambda k: trainer.step(stored, truth, 1e-4)),
            "scores from the cut": timed(lambda k: trainer.scores(stored)),
            "ordinary step": timed(lambda k: whole.step(images, truth, 1e-4)),
        },
    )
    print(kept["cost"], flush=True)


MEASURES = {"exact": measure_exact, "cost": measure_cost, "chest": measure_chest}


PHOTOS, FOLDS, RATES, EPOCHS, VIEWS = 400, 5, 3, 20, 4


def cost_lines(cost: dict[str, float]) -> list[str]:
    """Return the arithmetic of a whole search, in processor seconds."""
    n_rows = FOLDS * RATES * EPOCHS * PHOTOS * (FOLDS - 1) // FOLDS
    judged = FOLDS * RATES * EPOCHS * PHOTOS // FOLDS
    stored = PHOTOS * VIEWS * (cost["prepare"] + cost["prefix"])
    cut = stored + n_rows * cost["step from the cut"]
    ways = 4 * judged * cost["scores from the cut"]
    bare, whole = n_rows * cost["ordinary step"], n_rows * cost["prepare"]
    each = [f"| {name} | {1e3 * value:.2f} |" for name, value in cost.items()]
    return [
        "| of one photo | processor ms |",
        "| --- | --- |",
        *each,
        "",
        f"A search over {FOLDS} folds, {RATES} rates and {EPOCHS} epochs with {PHOTOS} photos in "
        f"{VIEWS} views passes {n_rows} rows. From the cut: {stored:.0f} s to store, "
        f"{cut - stored:.0f} s to train, {ways:.0f} s to judge four ways back to the start "
        f"in every epoch. Ordinary training of the same: {bare:.0f} s, and {whole:.0f} s more to "
        f"decode and crop every photo anew. Ratio of training, photos decoded once: "
        f"**{bare / cut:.1f}**; as it is done: **{(bare + whole) / cut:.1f}**; with the judging, "
        f"which ordinary training would pay for as well: {(bare + whole) / (cut + ways):.1f}.",
    ]


def page(kept: dict[str, Any]) -> str:
    lines = [
        "# Fine-tuning from the cut",
        "",
        f"Written by `python benchmarks/finetune.py exact cost chest` on {machine()}; "
        f"EfficientNet-Lite0 at {SIDE} px, PyTorch in one thread. The machine was shared with "
        "other jobs, so processor time is told, not the clock.",
        "",
        "## Exactness",
        "",
        "Twelve steps of AdamW with `last:1` on 64 chest X-rays in batches of 32: the suffix on "
        "stored activations against the whole network, same photos, same order. Stored in the "
        "training's own batches.",
        "",
        "| stored | largest difference of a loss | of a weight |",
        "| --- | --- | --- |",
    ]
    for key, value in kept.items():
        if key.startswith("exact"):
            name = key.removeprefix("exact ")
            lines.append(f"| {name} | {value['loss']:.1e} | {value['weights']:.1e} |")
    if "cost" in kept:
        lines += ["", "## Processor time", "", *cost_lines(kept["cost"])]
    return "\n".join([*lines, "", *chest_lines(kept), ""])


def chest_lines(kept: dict[str, Any]) -> list[str]:
    lines = [
        "## Chest X-rays, three classes, 33 photos of each",
        "",
        f"Normal, bacteria or virus, grouped by patient, 400 test photos. Frozen: the averages of "
        f"{', '.join(LAYERS)} fused, logistic. `last:2` starts there, rate {RATE:g}, ten epochs, "
        "four views, fixed beforehand; α is how far it goes from the start to the end of training. "
        "The standard error of one accuracy is 2 points, so none of these differs from another; "
        "all the way is no gain here. With nothing fixed, `finetune` judges by rows left out.",
        "",
        "| draw | what | accuracy | NLL | processor s |",
        "| --- | --- | --- | --- | --- |",
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value in kept.items():
        if key.startswith("chest"):
            _, _, seed, what = key.split(" ", 3)
            found.setdefault(what, []).append(value)
            cpu = f"{value['cpu']:.0f}" if "cpu" in value else "–"
            lines.append(
                f"| {seed} | {what} | {value['accuracy']:.4f} | {value['nll']:.3f} | {cpu} |"
            )
    for what, several in found.items():
        accuracy, nll = ([each[n] for each in several] for n in ("accuracy", "nll"))
        spread = np.std(accuracy, ddof=1) if len(several) > 1 else 0.0
        lines.append(
            f"| mean of {len(several)} | {what} | **{np.mean(accuracy):.4f}** ± {spread:.4f} | "
            f"{np.mean(nll):.3f} | |"
        )
    taken = [f"- {k.removeprefix('chest ')}: {v['taken']}" for k, v in kept.items() if "taken" in v]
    return [*lines, "", "What rows left out said:", "", *taken]


def main() -> None:
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for name in sys.argv[1:] or MEASURES:
        MEASURES[name](kept)
    if KEPT.exists():
        OUT.write_text(page(kept))


if __name__ == "__main__":
    main()
