"""Cutpoint beside what else a user would pick, and beside what the machine can do.

    python benchmarks/peers.py [ROUNDS]

Writes docs/benchmarks/peers.md and peers.svg. Ways are interleaved, medians; the features of each
are compared with ours before its time is believed. Photos: ../shared/data/dogs-vs-cats, or, in a
clone alone, crops of scikit-learn's two sample photos.
"""

from __future__ import annotations

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
from benchmarks import peers_page, plain_loop  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from benchmarks.main_path import BACKBONE, POOLS, photos  # noqa: E402
from cutpoint.engines import checked_engine, compare  # noqa: E402
from cutpoint.preprocess import prepare_image  # noqa: E402
from cutpoint.types import Engine  # noqa: E402

N_PHOTOS, ROUNDS, N_THREADS = 256, 3, 2
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


def torch_ways(files: list[Path], ours: Ours) -> tuple[Ways, dict[str, float]]:
    """Return the loops of PyTorch users and how near their features are to ours."""
    layers = ours.backbone.layers().auto_taps()
    loop = plain_loop.PlainLoop(layers)
    channels_last = plain_loop.PlainLoop(layers, torch.channels_last)
    ways: Ways = {
        "cutpoint": lambda: ours(files),
        "DataLoader(2) + eager + hooks": lambda: loop.features(files),
        "the same, channels last": lambda: channels_last.features(files),
        "timm forward_intermediates": lambda: timm_features(loop.network, files),
        "cutpoint, native": lambda: ours(files, engine="native"),
    }
    few = files[:32]
    found = ours(few)
    near = {
        "DataLoader(2) + eager + hooks": cosine(found, loop.features(few)),
        "the same, channels last": cosine(found, channels_last.features(few)),
        "timm forward_intermediates": cosine(found, timm_features(loop.network, few)),
        "cutpoint, native": cosine(found, {t: ours(few, engine="native").X(t) for t in found.taps}),
    }
    if min(near.values()) < 0.9999:
        raise SystemExit(f"the features differ, so no time would mean anything: {near}")
    return ways, near


def timm_features(network: torch.nn.Module, files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return the average and maximum of the deepest map of timm's own multi-stage call."""
    parts: dict[str, list[np.ndarray]] = {"blocks.6/gap": [], "blocks.6/gmp": []}
    with torch.inference_mode():
        for batch in plain_loop.batches(files):
            maps = network.forward_intermediates(batch, intermediates_only=True)[-1]
            parts["blocks.6/gap"].append(maps.mean((2, 3)).numpy())
            parts["blocks.6/gmp"].append(maps.amax((2, 3)).numpy())
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def keras_ways(files: list[Path], scratch: Path) -> tuple[Ways, float]:
    """Return Keras' way and ours with one network of its own, and how near the features are.

    Weights are random, as time does not ask. Keras resizes without antialiasing, so the features
    are compared on the same ready arrays.
    """
    from cutpoint.runtimes.keras import import_keras

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
    few = np.stack([prepare_image(f.read_bytes(), ours.backbone.spec.preprocess)[0] for f in files])
    few = few[:32]
    truth = network.predict(few / np.float32(127.5) - 1, verbose=0)
    engine = checked_engine(ours.backbone.cut(tap, pool="none"), "openvino", 1, few[:8]).engine
    near = compare({"f": engine.session()(few)[f"{tap}/none"]}, {"f": truth}).cosine
    return {
        "cutpoint, MobileNetV2 of Keras": lambda: ours(files, taps=[tap], pool="none"),
        "Keras image_dataset_from_directory + predict": predict,
    }, near


def decode(files: list[Path], backbone: Any) -> None:
    """Decode and resize alone, in one thread."""
    for file in files:
        prepare_image(file.read_bytes(), backbone.spec.preprocess)


def engine_ways(batch: np.ndarray, backbone: Any) -> Ways:
    """Return the engine alone on ready arrays, by the threads a run has, at several cuts."""
    taps = backbone.layers().auto_taps()
    middle = next(row for row in backbone.layers().maps() if row.macs >= _macs(backbone) / 2)
    cuts = {
        "engine alone, 9 taps × 2 pools": backbone.cut(*taps, pool=POOLS),
        "engine alone, deepest tap": backbone.cut(taps[-1], pool="gap"),
        f"engine alone, mid depth ({middle.name})": backbone.cut(middle.name, pool="gap"),
    }
    engines = {
        name: checked_engine(cut, "openvino", N_THREADS, batch[:8]).engine
        for name, cut in cuts.items()
    }
    return {name: lambda e=engine: run_all(e, batch) for name, engine in engines.items()}


def run_all(engine: Engine, batch: np.ndarray) -> None:
    """Run `batch` through `engine` as extraction does: a session a thread, small batches."""

    def work(rows: np.ndarray) -> None:
        run = engine.session()
        for start in range(0, len(rows), engine.batch_size):
            run(rows[start : start + engine.batch_size])

    halves = [threading.Thread(target=work, args=(half,)) for half in np.array_split(batch, 2)]
    for thread in halves:
        thread.start()
    for thread in halves:
        thread.join()


def _macs(backbone: Any) -> int:
    return max(row.macs for row in backbone.layers().maps())


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
    seconds["cold: first run on a machine"] = _timed(lambda: ours(files[:-n_new], old))
    seconds["warm: nothing to do"] = _timed(lambda: ours(files[:-n_new], old))
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
    load = os.getloadavg()[0]
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "photos").mkdir()
        files = photos(scratch / "photos")[:N_PHOTOS]
        backbone = cp.load(BACKBONE)
        ours = Ours(backbone, scratch)
        stored = store_ways(files, ours, scratch)
        ways, near = torch_ways(files, ours)
        low, near_low = bf16(files, ours)
        batch = np.stack(
            [prepare_image(f.read_bytes(), backbone.spec.preprocess)[0] for f in files]
        )
        ways |= low | {"decode + resize alone, one thread": lambda: decode(files, backbone)}
        ways |= engine_ways(batch, backbone)
        seconds = interleaved(ways, rounds)
        keras, near["Keras, on ready arrays"] = keras_ways(files, scratch)
        seconds |= interleaved(keras, rounds)
    facts = {
        "machine": machine(),
        "load": (load, os.getloadavg()[0]),
        "n_photos": len(files),
        "rounds": rounds,
        "peak": peak_gflops(),
        "macs": _macs(backbone),
        "near": near | ({"cutpoint, bf16": near_low} if low else {}),
    }
    peers_page.write(seconds | stored, facts)


if __name__ == "__main__":
    main()
