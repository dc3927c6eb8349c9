"""Other views of a photo, for training: its mirror image, and random crops.

Each is drawn from the seed, the number of the view and the photo's own bytes, so that it is the
same whatever is prepared before or beside it, and can be stored under an id of its own.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.types import UInt8
from cutpoint.items.kinds.image.read import digest
from cutpoint.items.kinds.image.resize import RESAMPLING, fit_to_recipe

MIRROR = 1
SCALE = (0.5, 1.0)
"""Share of the photo's area that a crop keeps: half at least, as what tells classes apart may lie
at the rim (docs/benchmarks/finetune.md)."""
RATIO = (3 / 4, 4 / 3)
"""Width of a crop over its height, as torchvision's `RandomResizedCrop` has it."""
_TRIES = 10


def viewed(spec: PreprocessSpec, number: int, seed: int) -> PreprocessSpec:
    """Return `spec` for another view."""
    return replace(spec, view=number, view_seed=seed if number > MIRROR else 0)


def fit_to_view(image: Image.Image, spec: PreprocessSpec, payload: Any) -> UInt8:
    """Return the square the network sees in view `spec.view`; uint8 (crop_px, crop_px, 3).

    Parameters
    ----------
    image : PIL image, RGB or grey
        Upright, whole.
    payload : bytes of its file, PIL image or array
        Draws the crop.
    """
    if spec.view == MIRROR:
        return np.ascontiguousarray(fit_to_recipe(image, replace(spec, view=0))[:, ::-1])
    random = np.random.default_rng([spec.view_seed, spec.view, _number_of(payload)])
    box = _crop(*image.size, random)
    square = image.resize((spec.crop_px,) * 2, RESAMPLING[spec.interpolation], box=box)
    square = ImageOps.mirror(square) if random.random() < 0.5 else square
    return np.asarray(square if square.mode == "RGB" else square.convert("RGB"))


def _number_of(payload: Any) -> int:
    sha256 = hashlib.sha256(payload).hexdigest() if isinstance(payload, bytes) else digest(payload)
    return int(sha256[:12], 16)


def _crop(
    width: int, height: int, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a crop; the whole where none of ten fits."""
    for _ in range(_TRIES):
        area = width * height * random.uniform(*SCALE)
        ratio = math.exp(random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        across, down = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if across <= width and down <= height:
            left, top = random.uniform(0, width - across), random.uniform(0, height - down)
            return left, top, left + across, top + down
    return 0.0, 0.0, float(width), float(height)
