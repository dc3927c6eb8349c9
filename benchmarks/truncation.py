"""A cut at mid depth against the whole network: time and weights held against the share of MACs.

    python benchmarks/truncation.py

Writes docs/benchmarks/truncation.md. Both run by the same engine on the same ready batch,
interleaved, medians. Networks that need ../shared are left out in a clone alone.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from cutpoint.base.spec import TapSpec  # noqa: E402
from cutpoint.networks.backbone import Backbone  # noqa: E402
from cutpoint.networks.engines import ENGINES  # noqa: E402

MODELS = ROOT.parent / "shared" / "models"
OUT = ROOT / "docs" / "benchmarks" / "truncation.md"
ROUNDS, REPEATS, BATCH = 7, 4, 8


def networks() -> Iterator[tuple[str, Callable[[], Backbone]]]:
    """Yield name and loader; random weights where none can be had here: time does not ask."""
    yield "torch, EfficientNet-Lite0", lambda: cp.load("packaged:efficientnet_lite0")
    yield "torch, ResNet-50", _torch_resnet
    yield "keras, ResNet50", _keras_resnet
    if MODELS.is_dir():
        squeezenet = MODELS / "squeezenet11" / "squeezenet11_fp16.onnx"
        yield "onnx, SqueezeNet 1.1", lambda: cp.load(str(squeezenet), "caffe")
        saved = MODELS / "mobilenet_v1_025_savedmodel"
        yield "tfgraph, MobileNetV1 0.25", lambda: cp.load(str(saved), "unit", trust_weights=True)
        tfjs = MODELS / "nsfw_mobilenet_v2_tfjs"
        yield "tfjs, MobileNetV2", lambda: cp.load(f"tfjs:{tfjs}", "unit")


def _torch_resnet() -> Backbone:
    from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

    return cp.load(import_with_shim("torchvision").models.resnet50(weights=None), "imagenet")


def _keras_resnet() -> Backbone:
    from cutpoint.networks.runtimes.keras import import_keras

    return cp.load(import_keras().applications.ResNet50(weights=None), "caffe")


def middle_and_last(backbone: Backbone) -> tuple[Any, Any]:
    """Return the map nearest to half of the MACs, and the deepest map."""
    maps = backbone.layers().maps()
    last = max(maps, key=lambda row: row.macs)
    return min(maps, key=lambda row: abs(row.macs - last.macs / 2)), last


def measure(backbone: Backbone) -> dict[str, Any]:
    middle, last = middle_and_last(backbone)
    cuts = [backbone.cut_at([TapSpec(row.name, "gap")]) for row in (middle, last)]
    batch = np.random.default_rng(0).integers(0, 256, (BATCH, *cuts[0].inputs["image"].shape))
    found: dict[str, Any] = {
        "tap": middle.name,
        "share": middle.macs / last.macs,
        "weights": [_constant_bytes(cut.convert("openvino")) for cut in cuts],
    }
    for engine in ("native", "openvino"):
        runs = [ENGINES[engine](cut, 2).session() for cut in cuts]
        seconds = _interleaved(runs, {"image": batch.astype(np.uint8)})
        found[engine] = [1000 * each / BATCH for each in seconds]
    return found


def _interleaved(runs: list[Callable[[Any], Any]], batch: Any) -> list[float]:
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(ROUNDS + 1):
        for place, run in enumerate(runs):
            start = time.perf_counter()
            for _ in range(REPEATS):
                run(batch)
            if number:  # the first round warms up
                seconds[place].append((time.perf_counter() - start) / REPEATS)
    return [statistics.median(values) for values in seconds]


def _constant_bytes(model: Any) -> int:
    return sum(op.data.nbytes for op in model.get_ops() if op.get_type_name() == "Constant")


def row(name: str, found: dict[str, Any]) -> str:
    cells = [name, f"`{found['tap']}`", f"{found['share']:.0%}"]
    for engine in ("native", "openvino"):
        middle, last = found[engine]
        cells.append(f"{middle:.1f} of {last:.1f} ms = **{middle / last:.0%}**")
    held, whole = found["weights"]
    cells.append(f"{held / 1e6:.2f} of {whole / 1e6:.2f} MB = {held / whole:.0%}")
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    lines = [
        "# Truncation",
        "",
        f"`make bench` on {machine()}.",
        f"One global-average tap at mid depth against the deepest map; ready batches of {BATCH},",
        f"{ROUNDS} interleaved rounds, medians, milliseconds an image with one stream. Weights are",
        "the constants of the converted cut.",
        "",
        "| network | cut at | MACs | native | openvino | weights held |",
        "|---|---|---|---|---|---|",
    ]
    for name, load in networks():
        lines.append(row(name, measure(load())))
        print(lines[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
