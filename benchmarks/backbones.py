"""Kinds of backbone side by side on dogs-vs-cats: accuracy with its interval, cost, speed.

    python benchmarks/backbones.py

Writes docs/benchmarks/backbones.md and .svg. Needs ../shared; without it nothing is written.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.learning.metrics import Interval  # noqa: E402
from cutpoint.networks.layer_table import human_count  # noqa: E402

SHARED = ROOT.parent / "shared"
OUT = ROOT / "docs" / "benchmarks"


@dataclass(frozen=True)
class Row:
    """One backbone's line."""

    kind: str
    name: str
    taken: str
    accuracy: Interval
    macs: int
    images_per_s: float
    engine: str


def candidates() -> list[tuple[str, str, str | None, bool]]:
    """Return kind, what to load, the stated preprocessing, and whether it is trusted."""
    models = SHARED / "models"
    h5 = models / "mobilenet_v1_025_keras" / "mobilenet_2_5_224_tf_no_top.h5"
    return [
        ("torch", "packaged:efficientnet_lite0", None, False),
        ("keras", f"keras:MobileNet?alpha=0.25&weights={h5}", None, False),
        ("tfjs", f"tfjs:{models / 'nsfw_mobilenet_v2_tfjs'}", "unit", False),
        ("onnx", f"onnx:{models / 'squeezenet11' / 'squeezenet11_fp16.onnx'}", "caffe", False),
        ("savedmodel", f"savedmodel:{models / 'mobilenet_v1_025_savedmodel'}", "unit", True),
    ]


def measure(kind: str, name: str, preprocess: str | None, trusted: bool, scratch: Path) -> Row:
    backbone = api.load(name, preprocess, trust_weights=trusted)
    store = scratch / kind
    predictor = api.fit(SHARED / "data" / "dogs-vs-cats", None, backbone, store=store)
    card = predictor.card
    extraction = card.extraction
    return Row(
        kind,
        backbone.spec.id.split("?")[0],
        predictor.taps[0].name,
        Interval(**card.evaluation["scores"]["accuracy"]),
        backbone.layers()[predictor.taps[0].layer].macs,
        extraction["n_forward"] / extraction["seconds"],
        extraction["engine"],
    )


def report(rows: list[Row]) -> None:
    from matplotlib.figure import Figure

    lines = [
        "# Kinds of backbone, one task",
        "",
        f"`make bench` on {machine()}.",
        "`cutpoint fit ../shared/data/dogs-vs-cats` (1000 to train, 300 to test) with default taps",
        "and pools; layer, pool and λ chosen on training rows. Images a second from files to",
        "stored features of all taps, once, conversion and parity gate included.",
        "",
        "| kind | backbone | taken | test accuracy [95 %] | MACs to there | images/s | engine |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.kind} | `{row.name}` | `{row.taken}` | {row.accuracy} "
            f"| {human_count(row.macs)} | {row.images_per_s:.0f} | {row.engine} |"
        )
    lines += ["", "![accuracy against cost](backbones.svg)", ""]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "backbones.md").write_text("\n".join(lines))
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        low, high = row.accuracy.value - row.accuracy.low, row.accuracy.high - row.accuracy.value
        axes.errorbar(row.macs / 1e6, row.accuracy.value, [[low], [high]], fmt="o", capsize=3)
        axes.annotate(
            row.kind, (row.macs / 1e6, row.accuracy.value), (6, 4), textcoords="offset points"
        )
    axes.set(xscale="log", xlabel="million MACs to the layer taken", ylabel="test accuracy")
    figure.savefig(OUT / "backbones.svg", metadata={"Date": None})


def main() -> None:
    if not SHARED.is_dir():
        print("no ../shared beside the checkout: nothing measured, nothing written")
        return
    with tempfile.TemporaryDirectory() as scratch:
        rows = [measure(*candidate, Path(scratch)) for candidate in candidates()]
    report(rows)
    print((OUT / "backbones.md").read_text())


if __name__ == "__main__":
    main()
