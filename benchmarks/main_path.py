"""The main path against a plain loop; the same features are checked before any time.

    python benchmarks/main_path.py

Writes docs/benchmarks/main-path.md and main-path.svg. The photos are those of
../shared/data/dogs-vs-cats, or, in a clone alone, crops of scikit-learn's two sample photos.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import plain_loop  # noqa: E402  the repository is no package
from benchmarks.machine import machine  # noqa: E402
from cutpoint import api  # noqa: E402
from cutpoint.engines import compare  # noqa: E402

BACKBONE = "packaged:efficientnet_lite0"
POOLS = ("gap", "gmp")
ROUNDS = 3
N_PHOTOS = 1000
N_FEW, N_MANY = 1_000, 20_000
OUT = ROOT / "docs" / "benchmarks"


def photos(folder: Path) -> list[Path]:
    """Return the photos to measure with, written below `folder` if there are no shared ones."""
    found = sorted((ROOT.parent / "shared/data/dogs-vs-cats").rglob("*.jpg"))[:N_PHOTOS]
    return found or _sample_photos(folder)


def _sample_photos(folder: Path) -> list[Path]:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    sources = [Image.fromarray(image) for image in load_sample_images().images]
    random = np.random.default_rng(0)
    files = []
    for number in range(N_PHOTOS):
        left, top = random.integers(0, 140), random.integers(0, 52)
        crop = sources[number % 2].crop((left, top, left + 500, top + 375))
        files.append(folder / f"{number:04d}.jpg")
        crop.save(files[-1], quality=92)
    return files


def extraction(files: list[Path], scratch: Path) -> dict[str, list[float]]:
    """Time the whole way from files to stored features, by engine, beside the plain loop."""
    taps = api.load(BACKBONE).layers().auto_taps()
    backbones = {engine: api.load(BACKBONE) for engine in ("openvino", "native")}
    loop = plain_loop.PlainLoop(taps)
    runs: dict[str, Callable[[int], object]] = {
        "DataLoader(2) + eager + hooks": lambda n: loop.features(files),
        "cutpoint, native": lambda n: _extract(files, backbones["native"], scratch, "native", n),
        "cutpoint, openvino": lambda n: _extract(
            files, backbones["openvino"], scratch, "openvino", n
        ),
        "cutpoint, openvino, again (warm)": lambda n: _extract(
            files, backbones["openvino"], scratch, "openvino", n
        ),
    }
    few = files[:32]
    ours = _extract(few, backbones["openvino"], scratch, "openvino", -1)
    _check_same(loop.features(few), ours)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run(number)
            seconds[name].append(time.perf_counter() - start)
            print(f"round {number + 1}/{ROUNDS}  {name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds


def _extract(
    files: list[Path], backbone: object, scratch: Path, engine: str, number: int
) -> object:
    store = scratch / f"{engine}{number}"
    return api.extract(files, backbone, pool=POOLS, store=store, engine=engine, quiet=True)


def _check_same(plain: dict[str, np.ndarray], ours: object) -> None:
    parity = compare({tap: ours.X(tap) for tap in ours.taps}, plain)
    print(f"features of the plain loop and of cutpoint: {parity}")
    if parity.cosine < 0.9999:
        raise SystemExit("the features differ, so no time of this run means anything")


# VmHWM, not ru_maxrss: the latter is inherited from the process that started this one.
_EXTRACT_AND_TELL_PEAK = """
import sys
from cutpoint import api
def peak_kb():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
backbone = api.load("packaged:efficientnet_lite0")
backbone.layers()
before = peak_kb()
features = api.extract(sys.argv[1], backbone, pool=("gap", "gmp"), store=sys.argv[2])
assert len(features) == int(sys.argv[3])
print(before, peak_kb())
"""


def peak_memory(files: list[Path], scratch: Path) -> dict[str, float]:
    """Return peak RSS in MB of extracting few and many distinct files, each in its own process."""
    found = {}
    for count in (N_FEW, N_MANY):
        folder = scratch / f"files{count}"
        folder.mkdir()
        for number in range(count):
            # Trailing bytes after the JPEG's end make each file a payload of its own.
            data = files[number % len(files)].read_bytes() + f"#{number}".encode()
            (folder / f"{number:06d}.jpg").write_bytes(data)
        words = [str(folder), str(scratch / f"rss{count}"), str(count)]
        command = [sys.executable, "-c", _EXTRACT_AND_TELL_PEAK, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        before_kb, peak_kb = map(int, done.stdout.split())
        found[f"{count:,} files"] = peak_kb / 1024
        found[f"{count:,} files, above the loaded network"] = (peak_kb - before_kb) / 1024
        print(f"peak RSS, {count} files: {peak_kb / 1024:.0f} MB", flush=True)
    return found


def start_up() -> dict[str, float]:
    """Return median seconds of ``import cutpoint`` and ``cutpoint --help`` in fresh processes."""
    codes = {
        "import cutpoint": "import cutpoint",
        "cutpoint --help": "import sys; sys.argv = ['cutpoint', '--help']; "
        "from cutpoint.cli import main; main()",
        "python itself": "pass",
    }
    seconds: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(9):
        for name, code in codes.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(results: dict[str, object]) -> None:
    """Write the table and the picture."""
    from matplotlib.figure import Figure

    seconds = results["extraction"]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["DataLoader(2) + eager + hooks"]
    lines = [
        "# The main path",
        "",
        f"`make bench` on {results['machine']}.",
        f"{results['n_photos']} photos → 9 layers × 2 pools of EfficientNet-Lite0, stored;",
        f"{ROUNDS} interleaved rounds, medians (least – most). The features were compared",
        "before any time was taken (cosine ≥ 0.9999); by then the compiled model was kept, as from",
        "the second run on. A first run: [peers.md](peers.md).",
        "",
        "| way | seconds | photos/s | × plain loop |",
        "|---|---|---|---|",
    ]
    for name, values in seconds.items():
        span = f"{medians[name]:.2f} ({min(values):.2f} – {max(values):.2f})"
        rate = results["n_photos"] / medians[name]
        lines.append(f"| {name} | {span} | {rate:.0f} | {base / medians[name]:.1f} |")
    warm = medians["cutpoint, openvino"] / medians["cutpoint, openvino, again (warm)"]
    lines += ["", f"Warm against cold: **{warm:.0f}×**.", "", "![times](main-path.svg)", ""]
    lines += ["| peak memory of `extract` | MB |", "|---|---|"]
    lines += [f"| {name} | {value:.0f} |" for name, value in results["memory"].items()]
    lines += ["", "| start-up | seconds |", "|---|---|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in results["start_up"].items()]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "main-path.md").write_text("\n".join(lines) + "\n")
    (OUT / "main-path.json").write_text(json.dumps(results, indent=1) + "\n")
    figure = Figure(figsize=(7, 2.0), layout="constrained")
    axes = figure.subplots()
    # Bars from zero, so without the warm run, which computes nothing.
    names = [name for name in medians if "warm" not in name][::-1]
    axes.barh(names, [results["n_photos"] / medians[name] for name in names], color="#1f5fa8")
    axes.set_xlabel("photos per second, from files to stored features")
    figure.savefig(OUT / "main-path.svg", metadata={"Date": None})


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        os.environ["CUTPOINT_MODELS"] = str(scratch / "models")
        (scratch / "photos").mkdir()
        files = photos(scratch / "photos")
        results = {"machine": machine(), "n_photos": len(files), "start_up": start_up()}
        print(results["machine"], flush=True)
        results["extraction"] = extraction(files, scratch)
        results["memory"] = peak_memory(files, scratch)
    report(results)
    print((OUT / "main-path.md").read_text())


if __name__ == "__main__":
    main()
