"""Ridge on 16 × 16 pixels: what an image tells without any network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.types import Array
from cutpoint.features.extraction.unit import prepare
from cutpoint.items.reading import Item
from cutpoint.learning.heads import HEADS_OF

SAYS = "ridge on 16 × 16 pixels"
IS_QUICK, IS_BLIND = False, False  # all images are decoded anew
# The whole image, whatever its sides: a floor must not lose what lies at the border.
_SMALL = PreprocessSpec(16, 16, "bicubic", (0, 0, 0), (1, 1, 1), fit="squash")


def make(target: str) -> Any:
    """Return an estimator of items; see `cutpoint.learning.floors`."""
    return make_pipeline(FunctionTransformer(_pixels), HEADS_OF[target]["ridge"]())


def _pixels(items: Sequence[Item]) -> Array:
    """Return (n_items, 768) float32, 0–1."""
    rows = [np.ravel(prepare(item, _SMALL)[0]["image"]) for item in items]
    return np.stack(rows).astype(np.float32) / 255
