"""Fitted transforms as bytes: safetensors with JSON in its header; no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from cutpoint.base.errors import PredictorError
from cutpoint.base.files import told, write_durably
from cutpoint.base.spec import canonical_json
from cutpoint.base.types import Array
from cutpoint.learning.transforms.base import Transform
from cutpoint.learning.transforms.fuse import Fuse
from cutpoint.learning.transforms.layout import UMAP
from cutpoint.learning.transforms.mix import SoftmaxSum
from cutpoint.learning.transforms.normalise import L2, Scale, SignedPower, TapL2, ZScore
from cutpoint.learning.transforms.project import (
    GaussianProjection,
    OrthogonalProjection,
    SparseProjection,
)
from cutpoint.learning.transforms.reduce import (
    PCA,
    Autoencoder,
    LearnedProjection,
    RandomisedSVD,
)
from cutpoint.learning.transforms.ridge_norm import RidgeNormSelect
from cutpoint.learning.transforms.select import (
    FTestSelect,
    GroupLasso,
    L1Select,
    LearnedMask,
    MutualInfoSelect,
    RecursiveSelect,
    VarianceSelect,
)

FORMAT = 1

_CLASSES: tuple[type[Transform], ...] = (
    L2, TapL2, ZScore, Scale, SignedPower, Fuse,
    VarianceSelect, FTestSelect, MutualInfoSelect, RecursiveSelect, L1Select, LearnedMask,
    GroupLasso, RidgeNormSelect,
    PCA, RandomisedSVD, GaussianProjection, SparseProjection, OrthogonalProjection, Autoencoder,
    LearnedProjection, UMAP, SoftmaxSum,
)  # fmt: skip

TRANSFORMS: dict[str, type[Transform]] = {each.kind: each for each in _CLASSES}
"""Name in recipes and saved files → class."""


def from_state(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Transform:
    """Return the fitted transform whose `to_state` gave `fields` and `arrays`."""
    try:
        made = TRANSFORMS[fields["kind"]].from_state(fields, arrays)
        made.check_restored()
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise _broken(f"it lacks or misspells something ({error!r})") from error
    return made


def to_bytes(transform: Transform) -> bytes:
    """Return a fitted transform as one safetensors file."""
    fields, arrays = transform.to_state()
    header = canonical_json({"format": FORMAT, **fields})
    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save_arrays(packed, metadata={"cutpoint.transform": header}))


def from_bytes(data: bytes) -> Transform:
    """Return the fitted transform in `data`.

    Raises
    ------
    PredictorError
        If `to_bytes` did not write it.
    """
    try:
        arrays = load_arrays(data)
        fields = json.loads(_metadata(data)["cutpoint.transform"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(f"the bytes can't be read ({error!r})") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        found = fields.get("format") if isinstance(fields, dict) else None
        raise _broken(f"its format is {found!r}")
    return from_state(fields, arrays)


def save(transform: Transform, path: str | os.PathLike[str]) -> None:
    """Write a fitted transform to a file."""
    write_durably(Path(path), to_bytes(transform))


def load(path: str | os.PathLike[str]) -> Transform:
    """Return the fitted transform that `save` wrote."""
    with told(Path(path), "read"):
        data = Path(path).read_bytes()
    return from_bytes(data)


def _metadata(data: bytes) -> dict[str, str]:
    """Return the text in the header: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return dict(header["__metadata__"])


def _broken(what: str) -> PredictorError:
    return PredictorError(
        f"A saved transform can't be loaded: {what}.",
        f"This release reads format {FORMAT}.",
        "What `transforms.save` wrote.",
        "Fit it again and type:  transforms.save(transform, path)",
    )
