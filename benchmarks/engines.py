"""The engines of torch cuts side by side, on prepared photos.

    python benchmarks/engines.py [NETWORK] [ROUNDS] [ENGINE:ITEMS_A_PASS ...]

Prints milliseconds a photo on the clock and of processor time; medians of interleaved rounds of 256
photos of ../shared/data/dogs-vs-cats, by two workers. Random weights will do for time: what is
computed does not depend on them. Each engine passes the parity gate before its time is believed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402  the repository is no package
from benchmarks.machine import machine  # noqa: E402
from benchmarks.photos import photos  # noqa: E402
from cutpoint.base.spec import TapSpec  # noqa: E402
from cutpoint.features.extraction.executors import LocalExecutor  # noqa: E402
from cutpoint.items.kinds.image import prepare_image  # noqa: E402
from cutpoint.networks.engines import checked_engine  # noqa: E402
from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim  # noqa: E402

BACKBONE, POOLS = "packaged:efficientnet_lite0", ("gap", "gmp")
N_PHOTOS, N_WORKERS = 256, 2


def backbone(name: str):
    """Return a backbone: torchvision's or timm's networks with random weights, or packaged."""
    if name == "efficientnet_lite0":
        return cp.load(BACKBONE)
    torch.manual_seed(0)
    source, _, network = name.partition(":")
    if source == "torchvision":
        made = import_with_shim("torchvision").models.get_model(network, weights=None)
    else:
        made = import_with_shim("timm").create_model(network, pretrained=False)
    return cp.load(made, preprocess="imagenet")


def seconds(engine, batches: list[np.ndarray]) -> tuple[float, float]:
    """Return seconds on the clock and of processors that the workers take for all batches."""
    start, cpu_start = time.perf_counter(), time.process_time()
    for _ in LocalExecutor(N_WORKERS).map(engine.session, batches):
        pass
    return time.perf_counter() - start, time.process_time() - cpu_start


def prepared(preprocess) -> np.ndarray:
    """Return the photos as `preprocess` wants them."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(N_WORKERS) as pool:
        files = photos(Path(scratch), N_PHOTOS)
        images = pool.map(lambda file: prepare_image(file.read_bytes(), preprocess)[0], files)
        return np.stack(list(images))


def main(name: str = "efficientnet_lite0", rounds: str = "3", *asked: str) -> None:
    network = backbone(name)
    taps = [TapSpec(layer, pool) for layer in network.layers().auto_taps() for pool in POOLS]
    cut, images = network.cut_at(taps), prepared(network.spec.preprocess)
    ways = {}
    for way in asked or ("native:8", "torch:4", "openvino:2"):
        engine, _, n_items = way.partition(":")
        checked = checked_engine(cut, engine, N_WORKERS, {"image": images[:8]})
        print(f"{way}: {checked.refused or checked.parity}")
        parts = np.split(images, range(int(n_items), len(images), int(n_items)))
        batches = [{"image": part} for part in parts]
        ways[way] = (checked.engine, batches)
    found = {way: [] for way in ways}
    for _ in range(int(rounds)):
        for way, (engine, batches) in ways.items():
            found[way].append(seconds(engine, batches))
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"{name}, {len(taps)} features, {len(images)} photos; {machine()}; {load}")
    for way, rows in found.items():
        wall, cpu = 1000 * np.median(rows, axis=0) / len(images)
        print(f"{way:16s} {wall:7.2f} ms on the clock {cpu:7.2f} ms of processors")


if __name__ == "__main__":
    main(*sys.argv[1:])
