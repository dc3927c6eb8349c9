"""Cutpoint beside what else a user would pick, and beside what the machine can do.

    python benchmarks/peers.py [ROUNDS]

Writes docs/benchmarks/peers.md and peers.svg. Ways are interleaved, medians; the features of each
are compared with ours before its time is believed. Photos: ../shared/data/dogs-vs-cats, or, in a
clone alone, crops of scikit-learn's two sample photos. EfficientNet-Lite0 has its trained weights;
MobileNetV2 and ResNet-50 have random ones, as time does not ask.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402
from benchmarks import peers_page  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from benchmarks.photos import photos  # noqa: E402
from benchmarks.plain_loop import PlainLoop, batches  # noqa: E402
from cutpoint.base.types import Engine  # noqa: E402
from cutpoint.items.kinds.image import prepare_image  # noqa: E402
from cutpoint.networks.engines import checked_engine, compare  # noqa: E402

BACKBONE, POOLS = "packaged:efficientnet_lite0", ("gap", "gmp")
N_PHOTOS, N_RESNET, ROUNDS, N_THREADS = 1000, 128, 3, 2
Ways = dict[str, Callable[[], object]]
Seconds = dict[str, list[tuple[float, float]]]
"""Way → seconds on the clock and of processor time, its children's too, of each round."""


def interleaved(ways: Ways, rounds: int) -> Seconds:
    """Return the seconds of each way, one of each in turn."""
    found: Seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start, cpu_start = time.perf_counter(), _cpu_s()
            way()
            found[name].append((time.perf_counter() - start, _cpu_s() - cpu_start))
            print("{}: {:.2f} s, {:.2f} s of processors".format(name, *found[name][-1]), flush=True)
    return found


def _cpu_s() -> float:
    return sum(os.times()[:4])


class Ours:
    """Extraction into a new store each time."""

    def __init__(self, backbone: Any, scratch: Path) -> None:
        self.backbone, self.scratch, self._n = backbone, scratch, 0

    def __call__(self, files: Sequence[Path], store: Path | None = None, **options: Any) -> Any:
        self._n += 1
        where = store or self.scratch / f"{id(self)}-{self._n}"
        fields = {"pool": POOLS, "engine": "openvino", "quiet": True, **options}
        return cp.extract(files, self.backbone, store=where, **fields)


def cosine(features: Any, truth: dict[str, np.ndarray]) -> float:
    return compare({tap: features.X(tap) for tap in truth}, truth).cosine


def loop_ways(files: Sequence[Path], ours: Ours, name: str, near: dict[str, float]) -> Ways:
    """Return our way and the loops of PyTorch users, nine layers; note in `near` how near."""
    backbone = ours.backbone
    layers, spec = backbone.layers().auto_taps(), backbone.spec.preprocess
    loop = PlainLoop(copy.deepcopy(backbone.network), spec, layers)
    last = PlainLoop(copy.deepcopy(backbone.network), spec, layers, torch.channels_last)
    found = ours(files[:32])
    ways: Ways = {f"{name}: cutpoint": lambda: ours(files)}
    for way, each in {peers_page.LOOP: loop, peers_page.CHANNELS_LAST: last}.items():
        near[f"{name}: {way}"] = cosine(found, each.features(files[:32]))
        ways[f"{name}: {way}"] = lambda each=each: each.features(files)
    return ways


def other_ways(files: Sequence[Path], ours: Ours, near: dict[str, float]) -> Ways:
    """Return timm's own call, and our slower engines."""
    network, few = ours.backbone.network.eval(), files[:32]
    found, spec = ours(few), ours.backbone.spec.preprocess
    native = ours(few, engine="native")
    near["timm forward_intermediates"] = cosine(found, timm_features(network, few, spec))
    near["cutpoint, native"] = cosine(found, {tap: native.X(tap) for tap in found.taps})
    return {
        "timm forward_intermediates": lambda: timm_features(network, files, spec),
        "cutpoint, native": lambda: ours(files, engine="native"),
    }


def timm_features(
    network: torch.nn.Module, files: Sequence[Path], spec: Any
) -> dict[str, np.ndarray]:
    """Return the average and maximum of the deepest map of timm's own multi-stage call."""
    parts: dict[str, list[np.ndarray]] = {"blocks.6/gap": [], "blocks.6/gmp": []}
    with torch.inference_mode():
        for batch in batches(files, spec):
            maps = network.forward_intermediates(batch, intermediates_only=True)[-1]
            parts["blocks.6/gap"].append(maps.mean((2, 3)).numpy())
            parts["blocks.6/gmp"].append(maps.amax((2, 3)).numpy())
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def resnet_ways(files: Sequence[Path], scratch: Path, near: dict[str, float]) -> Ways:
    """Return ResNet-50 to its last stage, and to its first, by ours and by a hook."""
    ours = Ours(random_network("resnet50"), scratch)
    spec, ways = ours.backbone.spec.preprocess, {}
    for layer in ("layer4", "layer1"):
        loop = PlainLoop(copy.deepcopy(ours.backbone.network), spec, [layer])
        name = f"ResNet-50 {layer}"
        near[f"{name}: a hook"] = cosine(ours(files[:16], taps=[layer]), loop.features(files[:16]))
        ways[f"{name}: cutpoint"] = lambda layer=layer: ours(files, taps=[layer])
        ways[f"{name}: {peers_page.LOOP}"] = lambda loop=loop: loop.features(files)
    return ways


def random_network(name: str) -> Any:
    """Return a network of timm with random weights as a backbone."""
    import timm  # after torchvision, which `plain_loop` imports with its shim

    torch.manual_seed(0)
    return cp.load(timm.create_model(name).eval(), preprocess="imagenet")


def keras_ways(files: list[Path], scratch: Path) -> tuple[Ways, float]:
    """Return Keras' way and ours with one network of its own, and how near the features are.

    Weights are random, as time does not ask. Keras resizes without antialiasing, so the features
    are compared on the same ready arrays.
    """
    from cutpoint.networks.runtimes.keras import import_keras

    keras = import_keras()
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg")
    folder = scratch / "keras" / "photos"
    folder.mkdir(parents=True)
    for number, file in enumerate(files):
        (folder / f"{number:04d}.jpg").symlink_to(file.resolve())

    def predict() -> Any:
        batches = keras.utils.image_dataset_from_directory(
            folder.parent, labels=None, image_size=(224, 224), shuffle=False, verbose=0
        )
        return network.predict(batches.map(lambda x: x / 127.5 - 1), verbose=0)

    ours = Ours(cp.load(network, preprocess="tf"), scratch)
    tap = network.layers[-1].name
    spec = ours.backbone.spec.preprocess
    few = np.stack([prepare_image(file.read_bytes(), spec)[0] for file in files[:32]])
    truth = network.predict(few / np.float32(127.5) - 1, verbose=0)
    engine = checked_engine(
        ours.backbone.cut(tap, pool="none"), "openvino", 1, {"image": few[:8]}
    ).engine
    near = compare({"f": engine.session()({"image": few})[f"{tap}/none"]}, {"f": truth}).cosine
    return {
        peers_page.OURS_OF_KERAS: lambda: ours(files, taps=[tap], pool="none"),
        peers_page.KERAS: predict,
    }, near


def decode(files: list[Path], backbone: Any) -> None:
    """Decode and resize alone, in one thread."""
    for file in files:
        prepare_image(file.read_bytes(), backbone.spec.preprocess)


def engine_ways(batch: np.ndarray, backbone: Any) -> Ways:
    """Return the engine alone on ready arrays, by the threads a run has, at several cuts."""
    taps = backbone.layers().auto_taps()
    middle = _middle(backbone)
    cuts = {
        "engine alone, 9 taps × 2 pools": backbone.cut(*taps, pool=POOLS),
        "engine alone, deepest tap": backbone.cut(taps[-1], pool="gap"),
        f"engine alone, mid depth ({middle.name})": backbone.cut(middle.name, pool="gap"),
    }
    engines = {
        name: checked_engine(cut, "openvino", N_THREADS, {"image": batch[:8]}).engine
        for name, cut in cuts.items()
    }
    return {name: lambda e=engine: run_all(e, batch) for name, engine in engines.items()}


def run_all(engine: Engine, batch: np.ndarray) -> None:
    """Run `batch` through `engine` as extraction does: a session a thread, small batches."""

    def work(rows: np.ndarray) -> None:
        run = engine.session()
        for start in range(0, len(rows), engine.batch_size):
            run({"image": rows[start : start + engine.batch_size]})

    halves = [threading.Thread(target=work, args=(half,)) for half in np.array_split(batch, 2)]
    for thread in halves:
        thread.start()
    for thread in halves:
        thread.join()


def _macs(backbone: Any) -> int:
    return max(row.macs for row in backbone.layers().maps())


def _middle(backbone: Any) -> Any:
    """Return the first layer behind half of the multiply-accumulates."""
    return next(row for row in backbone.layers().maps() if row.macs >= _macs(backbone) / 2)


def peak_gflops() -> float:
    """Return what float32 matrix products reach here with all cores, 10⁹ operations a second."""
    a = torch.rand(2048, 2048)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(a, a)
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds) / 1e9


def store_ways(files: list[Path], ours: Ours, scratch: Path) -> Seconds:
    """Return the first run on a machine, a run that finds all stored, and one with 1 % new."""
    old, n_new = scratch / "old", max(1, len(files) // 100)
    seconds: Seconds = {}
    os.environ["CUTPOINT_MODELS"] = str(scratch / "never-seen")
    seconds[peers_page.COLD] = _timed(lambda: ours(files[:-n_new], old))
    warm = {"warm": lambda: ours(files[:-n_new], old)}
    seconds[peers_page.WARM] = interleaved(warm, rounds=5)["warm"]
    seconds[f"{n_new} new of {len(files)}"] = _timed(lambda: ours(files, old))
    return seconds


def _timed(way: Callable[[], object]) -> list[tuple[float, float]]:
    return interleaved({"once": way}, rounds=1)["once"]


def bf16(files: list[Path], ours: Ours) -> tuple[Ways, float]:
    """Return a run in bfloat16 and how near its features are; nothing where it can't be had."""
    truth = ours(files[:32])
    try:
        found = ours(files[:32], precision="bf16")
    except cp.errors.UsageError as error:
        print(error.got)
        return {}, 0.0
    near = compare({t: found.X(t) for t in truth.taps}, {t: truth.X(t) for t in truth.taps}).cosine
    return {"cutpoint, bf16": lambda: ours(files, precision="bf16")}, near


def main() -> None:
    load, near, peak = os.getloadavg()[0], {}, peak_gflops()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "photos").mkdir()
        files = photos(scratch / "photos", N_PHOTOS)
        backbone = cp.load(BACKBONE)
        ours = Ours(backbone, scratch)
        stored = store_ways(files, ours, scratch)
        mobilenet = Ours(random_network("mobilenetv2_100"), scratch)
        ways = loop_ways(files, ours, "EfficientNet-Lite0", near)
        ways |= loop_ways(files, mobilenet, "MobileNetV2", near)
        ways |= other_ways(files, ours, near)
        ways |= resnet_ways(files[:N_RESNET], scratch, near)
        keras, near["Keras, on ready arrays"] = keras_ways(files, scratch)
        if min(near.values()) < 0.9999:
            raise SystemExit(f"the features differ, so no time would mean anything: {near}")
        low, near_low = bf16(files, ours)
        spec = backbone.spec.preprocess
        batch = np.stack([prepare_image(file.read_bytes(), spec)[0] for file in files])
        ways |= keras | low | {"decode + resize alone, one thread": lambda: decode(files, backbone)}
        ways |= engine_ways(batch, backbone)
        seconds = interleaved(ways, rounds)
    facts = {
        "machine": machine(),
        "load": (load, os.getloadavg()[0]),
        "n_photos": len(files),
        "n_resnet": N_RESNET,
        "rounds": rounds,
        "peak": max(peak, peak_gflops()),
        "macs": _macs(backbone),
        "share_of_macs": _middle(backbone).macs / _macs(backbone),
        "near": near | ({"cutpoint, bf16": near_low} if low else {}),
    }
    peers_page.write(seconds | stored, facts)


if __name__ == "__main__":
    main()
