"""Reduced precisions beside fp32 on three data sets: cosine, accuracy, processor time.

    python benchmarks/precision.py

Writes docs/benchmarks/precision.md. Needs ../shared and NNCF; without the data nothing is written.
A ridge head on the last layer's mean; the test rows are scored once a precision.
"""

from __future__ import annotations

import os
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
from cutpoint.base.spec import PRECISIONS, TapSpec  # noqa: E402
from cutpoint.features.extraction.quantising import cut_of  # noqa: E402
from cutpoint.features.extraction.unit import prepare  # noqa: E402
from cutpoint.features.store import FeatureStore  # noqa: E402
from cutpoint.items.reading import read_dataset  # noqa: E402
from cutpoint.learning.choosing.judge_taps import judge_set  # noqa: E402
from cutpoint.learning.choosing.ranking_task import ChooseOptions, Task, training_rows  # noqa: E402
from cutpoint.learning.heads import RidgeHead  # noqa: E402
from cutpoint.learning.metrics import paired_bootstrap  # noqa: E402
from cutpoint.learning.recipe import Recipe  # noqa: E402
from cutpoint.networks.engines import ENGINES, QuantisedCut, compare, quantise  # noqa: E402
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks" / "precision.md"
DATA = ("dogs-vs-cats", "caltech20", "chest-xray")
TAP = "bn2/gap"
N_PHOTOS, N_ROUNDS = 32, 7


def outcomes(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which training rows are right left out, and which test rows."""
    rows, tests = training_rows(features), features.rows_of("test")
    task = Task.of(features, ChooseOptions(taps=(TAP,)), rows)
    left_out = judge_set(task, (TAP,), Recipe()).outcomes
    head = RidgeHead().fit(features.X(TAP, rows), features.labels[rows].astype(str))
    found = head.predict(features.X(TAP, tests))
    return left_out, found == features.labels[tests].astype(str)


def smallest_cosine(features: Any, reference: Any) -> float:
    return min(
        compare({tap: features.X(tap)}, {tap: reference.X(tap)}).cosine for tap in features.taps
    )


def change(ours: np.ndarray, theirs: np.ndarray) -> str:
    gain = paired_bootstrap(ours.astype(float), theirs.astype(float))
    return f"{ours.mean():.3f} ({gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}])"


def accuracies(name: str, scratch: Path) -> tuple[list[str], dict[str, Any]]:
    """Return rows of the table, and the features by precision."""
    features = {
        each: api.extract(SHARED / "data" / name, store=scratch / name, precision=each, quiet=True)
        for each in PRECISIONS
    }
    reference = features["fp32"]
    left_out, tested = outcomes(reference)
    lines = [f"| {name} | fp32 | | {left_out.mean():.3f} | {tested.mean():.3f} |"]
    for each in PRECISIONS[1:]:
        loo, test = outcomes(features[each])
        cosine = smallest_cosine(features[each], reference)
        changes = f"{change(loo, left_out)} | {change(test, tested)}"
        lines.append(f"| | {each} | {cosine:.3f} | {changes} |")
    return lines, features


def photos(backbone: Any) -> list[Any]:
    """Return prepared photos of the first data set."""
    items = read_dataset(SHARED / "data" / DATA[0]).items
    chosen = items[:: len(items) // N_PHOTOS][:N_PHOTOS]
    return [prepare(item, backbone.spec.preprocess)[0] for item in chosen]


def by_turns(cuts: dict[str, Any], items: list[Any]) -> str:
    """Time the engines by turns, one thread; return milliseconds a photo and the share of fp32."""
    batches = [
        {"image": np.stack([each["image"] for each in items[n : n + 2]])}
        for n in range(0, len(items), 2)
    ]
    sessions = {each: ENGINES["openvino"](cut, 1, each).session() for each, cut in cuts.items()}
    for run in sessions.values():
        run(batches[0])
    found: dict[str, list[float]] = {each: [] for each in cuts}
    for _ in range(N_ROUNDS):
        for each, run in sessions.items():
            start = time.process_time()
            for batch in batches:
                run(batch)
            found[each].append((time.process_time() - start) / len(items) * 1e3)
    reference = np.array(found["fp32"])
    return " | ".join(
        f"{np.median(found[each]):.1f} ms ({np.median(np.array(found[each]) / reference):.2f}×)"
        for each in PRECISIONS
    )


def efficientnet_times(features: dict[str, Any], store: FeatureStore) -> list[str]:
    backbone, lines = api.load("packaged:efficientnet_lite0"), []
    every = features["fp32"].spec.taps
    last = (TapSpec.from_name(TAP),)
    for name, taps in ((f"9 layers to `{TAP}`, 2 pools", every), (f"`{TAP}`", last)):
        cuts = {each: cut_of(backbone, features[each].spec, store, taps) for each in PRECISIONS}
        lines.append(f"| EfficientNet-Lite0, {name} | {by_turns(cuts, photos(backbone))} |")
    return lines


def untrained_times() -> list[str]:
    """Time networks whose weights are not here: what they compute takes no longer with others."""
    import torch

    models = import_with_shim("torchvision").models

    lines = []
    for name, layer in (("mobilenet_v2", "features.18"), ("resnet50", "layer4")):
        torch.manual_seed(0)
        backbone = api.load(getattr(models, name)(weights=None), preprocess="imagenet")
        items = photos(backbone)[:8]
        cut = backbone.cut(layer, pool="gap")
        cuts = dict.fromkeys(PRECISIONS, cut)
        cuts["int8"] = QuantisedCut(cut, quantise(cut, items))
        lines.append(f"| {name}, untrained, `{layer}/gap` | {by_turns(cuts, items)} |")
    return lines


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    print(machine(), "load", os.getloadavg(), flush=True)
    table = [
        "| data | precision | smallest cosine | LOO accuracy | test accuracy |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name in DATA:
            lines, features = accuracies(name, Path(scratch))
            print("\n".join(lines), flush=True)
            table += lines
            if name == DATA[0]:
                times = efficientnet_times(features, FeatureStore(Path(scratch) / name))
    times += untrained_times()
    print("\n".join(times), flush=True)
    lines = [
        "# Reduced precision",
        "",
        f"`python benchmarks/precision.py` on {machine()}, busy with other work.",
        "EfficientNet-Lite0, frozen, by OpenVINO; 9 layers × 2 pools; ridge head on `bn2/gap`. In",
        "brackets the change against fp32 on the same rows, with its 95 % interval (paired",
        "bootstrap); no correction for how many changes are looked at. Cosines: all rows and taps.",
        "",
        *table,
        "",
        "Processor time a photo in the engine, one thread, batches of 2, precisions by turns,",
        f"medians of {N_ROUNDS} rounds of {N_PHOTOS} photos (untrained networks: 8); in",
        "brackets the share of fp32's:",
        "",
        f"| network, taps | {' | '.join(PRECISIONS)} |",
        "|---|---|---|---|---|",
        *times,
        "",
    ]
    OUT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
