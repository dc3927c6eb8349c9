"""Real photos to measure with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SHARED = Path(__file__).parents[2] / "shared/data/dogs-vs-cats"


def photos(folder: Path, n_photos: int) -> list[Path]:
    """Return photos to measure with, written below `folder` if there are no shared ones."""
    found = sorted(SHARED.rglob("*.jpg"))[:n_photos]
    return found or _sample_photos(folder, n_photos)


def _sample_photos(folder: Path, n_photos: int) -> list[Path]:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    sources = [Image.fromarray(image) for image in load_sample_images().images]
    random = np.random.default_rng(0)
    files = []
    for number in range(n_photos):
        left, top = random.integers(0, 140), random.integers(0, 52)
        crop = sources[number % 2].crop((left, top, left + 500, top + 375))
        files.append(folder / f"{number:04d}.jpg")
        crop.save(files[-1], quality=92)
    return files
