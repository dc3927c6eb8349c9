"""Large photos decoded scaled and exactly: time, pixels, features, accuracy; and the exact floor.

    python benchmarks/decoding.py

Writes docs/benchmarks/decoding.md. Ways are interleaved, medians of processor time, one thread.
Photos are those of ../shared/data/dogs-vs-cats, or, in a clone alone, crops of scikit-learn's two
sample photos (then no accuracy). Large ones are made of them: one enlarged, with grain, and mosaics
of many, which are as sharp as pixels can be. The X-rays are large as they are.
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import cutpoint as cp  # noqa: E402
from benchmarks.machine import machine  # noqa: E402
from benchmarks.photos import photos  # noqa: E402
from cutpoint.items.kinds.image import prepare_image  # noqa: E402
from cutpoint.networks.engines import ENGINES  # noqa: E402

OUT = ROOT / "docs" / "benchmarks" / "decoding.md"
BACKBONE = "packaged:efficientnet_lite0"
SIZES = ((1100, 1027), (2000, 1500), (4003, 2251), (4000, 3000))
N_PHOTOS, N_A_SIZE, N_SMALL, N_LABELLED, ROUNDS = 1000, 12, 100, 200, 5
GRAIN = 4.0  # standard deviation, of 255
Way = Callable[[bytes], Any]


def encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def enlarged(photo: Image.Image, width: int, height: int, grain: np.ndarray) -> bytes:
    """Return a photo at that size (or turned), with grain, as a JPEG."""
    size = (width, height) if photo.width >= photo.height else (height, width)
    pixels = np.asarray(photo.resize(size, Image.Resampling.LANCZOS)).astype(np.float32)
    repeats = [-(-have // tile) for have, tile in zip(pixels.shape, grain.shape, strict=True)]
    noise = np.tile(grain, repeats)[: size[1], : size[0]]
    return encode(Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)))


def mosaic(tiles: Sequence[Image.Image], first: int, width: int, height: int) -> bytes:
    """Return photos side by side, each pixel a photo's own, as a JPEG."""
    picture, number = Image.new("RGB", (width, height)), first
    for top in range(0, height, 375):
        for left in range(0, width, 500):
            picture.paste(tiles[number % len(tiles)].resize((500, 375)), (left, top))
            number += 3
    return encode(picture)


def milliseconds(ways: dict[str, Way], files: Sequence[bytes]) -> dict[str, float]:
    """Return the processor time of each way, ms a photo: one of each in turn, medians."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            for data in files:
                way(data)
            found[name].append(1000 * (time.process_time() - start) / len(files))
    return {name: statistics.median(values) for name, values in found.items()}


@dataclass
class Bench:
    """The network and its two ways to decode."""

    backbone: Any
    run: Any
    mean: dict[str, np.ndarray]

    @classmethod
    def of(cls, ordinary: Sequence[bytes]) -> Bench:
        """Return it with the mean feature of ordinary photos, to centre by."""
        backbone = cp.load(BACKBONE)
        bench = cls(backbone, ENGINES["openvino"](backbone.cut(), 1).session(), {})
        features = bench.features(np.stack([bench.exact(data) for data in ordinary]))
        bench.mean = {tap: rows.mean(axis=0) for tap, rows in features.items()}
        return bench

    def exact(self, data: bytes) -> np.ndarray:
        return prepare_image(data, self.backbone.spec.preprocess)[0]

    def scaled(self, data: bytes) -> np.ndarray:
        return prepare_image(data, replace(self.backbone.spec.preprocess, decode="scaled"))[0]

    def features(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        parts = [self.run({"image": batch[start : start + 4]}) for start in range(0, len(batch), 4)]
        return {tap: np.concatenate([part[tap] for part in parts]) for tap in parts[0]}

    def row(self, name: str, files: Sequence[bytes]) -> str:
        """Measure one set of photos."""
        took = milliseconds({"exact": self.exact, "scaled": self.scaled}, files)
        exact, scaled = (np.stack([way(d) for d in files]) for way in (self.exact, self.scaled))
        pixels = np.abs(exact.astype(int) - scaled)
        before, after = self.features(exact), self.features(scaled)
        plain = {tap: cosines(before[tap], after[tap]).min() for tap in before}
        centred = [cosines(before[t] - self.mean[t], after[t] - self.mean[t]) for t in before]
        worst = min(plain, key=lambda tap: plain[tap])
        return (
            f"| {name} | {np.mean([len(data) for data in files]) / 1000:.0f} kB "
            f"| {took['exact']:.1f} | {took['scaled']:.1f} "
            f"| **{took['exact'] / took['scaled']:.1f}×** | {pixels.mean():.2f}, {pixels.max()} "
            f"| {plain[worst]:.4f} (`{worst}`) "
            f"| {min(each.min() for each in centred):.4f}, {np.median(centred):.4f} |"
        )


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.einsum("ij,ij->i", a, b, dtype=np.float64) / lengths


def xrays() -> list[bytes]:
    """Return the original X-rays that are large enough to be decoded smaller."""
    found = sorted((ROOT.parent / "shared/data/chest-xray-fullres").rglob("*.jp*g"))
    return [file.read_bytes() for file in found if min(Image.open(file).size) >= 1024]


def floor(bench: Bench, files: Sequence[bytes]) -> list[str]:
    """Return rows on the exact way beside libjpeg's decoding and Pillow's resize alone."""
    spec = bench.backbone.spec.preprocess

    def decode(data: bytes) -> Image.Image:
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    def resize(data: bytes) -> Image.Image:
        image = decode(data)
        scale = spec.resize_px / min(image.size)
        size = (int(image.width * scale), int(image.height * scale))
        return image.resize(size, Image.Resampling.BICUBIC)

    took = milliseconds({"decode": decode, "resize": resize, "exact": bench.exact}, files)
    return [
        f"| libjpeg-turbo's decoding | {took['decode']:.2f} |",
        f"| and Pillow's resize: the floor | {took['resize']:.2f} |",
        f"| cutpoint, exact | {took['exact']:.2f} |",
    ]


def accuracy(files: Sequence[Path], scratch: Path, grain: np.ndarray) -> list[str]:
    """Return rows of leave-one-out accuracy, photos enlarged to 2000×1500, both ways."""
    data = [enlarged(opened(file), 2000, 1500, grain) for file in files]
    labels = [file.parent.name for file in files]
    rows = []
    for decode in ("exact", "scaled"):
        backbone = cp.load(BACKBONE, decode=decode)
        features = cp.extract(
            data,
            backbone,
            store=scratch / decode,
            labels=labels,
            splits=["train"] * len(data),
            quiet=True,
        )
        ranking = cp.choose(features, strategy="single", quiet=True)
        scores = {each.tap: each.score.value for each in ranking.candidates}
        last = max(scores, key=lambda tap: features.taps.index(tap))
        rows.append(
            f"| {decode} | {np.mean(list(scores.values())):.4f} | {max(scores.values()):.3f} "
            f"| {scores[last]:.3f} | `{ranking.taken.tap}` |"
        )
    return rows


def opened(file: Path) -> Image.Image:
    return Image.open(file).convert("RGB")


def main() -> None:
    random = np.random.default_rng(0)
    grain = random.normal(0, GRAIN, (1024, 1024, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        files = photos(Path(folder), N_PHOTOS)
        bench = Bench.of([file.read_bytes() for file in files[:N_SMALL]])
        few = [opened(file) for file in files[:: len(files) // (4 * N_A_SIZE)]]
        lines = head()
        for width, height in SIZES:
            made = [enlarged(photo, width, height, grain) for photo in few[:N_A_SIZE]]
            lines.append(bench.row(f"{width}×{height}, enlarged with grain", made))
            made = [mosaic(few, 7 * n, width, height) for n in range(N_A_SIZE)]
            lines.append(bench.row(f"{width}×{height}, mosaic", made))
            print(*lines[-2:], sep="\n", flush=True)
        originals = xrays()
        if originals:
            lines.append(bench.row(f"{len(originals)} X-rays, about 1440×1076, grey", originals))
        small = [file.read_bytes() for file in files[:: len(files) // N_SMALL]]
        lines += ["", *FLOOR_HEAD, *floor(bench, small)]
        labelled = files[:: len(files) // N_LABELLED][:N_LABELLED]
        if len({file.parent.name for file in labelled}) > 1:
            lines += ["", *ACCURACY_HEAD, *accuracy(labelled, Path(folder), grain)]
    OUT.write_text("\n".join(lines) + "\n")
    print(OUT.read_text())


def head() -> list[str]:
    return [
        "# Decoding",
        "",
        f"`make bench` on {machine()}.",
        f"Processor time of one thread, {ROUNDS} interleaved rounds, medians. EfficientNet-Lite0",
        f"(shorter side to 256, central 224), its 18 default features. {N_A_SIZE} photos a row,",
        "JPEG quality 92, made of ordinary ones: enlarged with grain, or mosaics of many, as sharp",
        "as pixels can be. The X-rays are originals.",
        "",
        "Pixels: mean and largest difference, of 255. Cosine: the smallest of any photo and",
        "feature, and where; centred: about the mean feature of ordinary photos, smallest and",
        "median.",
        "",
        "| photos | file | exact, ms | scaled, ms | | pixels | cosine | centred |",
        "|---|---|---|---|---|---|---|---|",
    ]


FLOOR_HEAD = [
    "## The exact way at its ordinary size",
    "",
    f"{N_SMALL} photos of about 500×375 as they are.",
    "",
    "| | ms a photo |",
    "|---|---|",
]
ACCURACY_HEAD = [
    "## What is learned",
    "",
    f"{N_LABELLED} photos of dogs and cats enlarged to 2000×1500 with grain; exact leave-one-out",
    "accuracy of the ridge head.",
    "",
    "| decoding | mean of all features | best | last | taken |",
    "|---|---|---|---|---|",
]

if __name__ == "__main__":
    main()
