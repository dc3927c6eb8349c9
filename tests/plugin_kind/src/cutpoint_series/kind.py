"""What `cutpoint.base.contracts.Kind` names, for series."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import numpy as np

from cutpoint.base.contracts import Defaults
from cutpoint.base.errors import BadItem
from cutpoint_series.spec import SeriesSpec

NAME = "series"
NOUN = "series file"
ITEMS = "a path, the bytes of a text file, or an array of one axis"
SUFFIXES = frozenset(["txt", "csv"])
COLUMNS = ("series", "path")
LINES = frozenset(["txt"])  # one series a line
DEFAULTS = Defaults(backbone="steps:16")

spec_from_json = SeriesSpec.from_json


def payload_of(given: Any) -> Any:
    """Return an array as it is, and the text of a cell or a line; one word alone is a path."""
    if isinstance(given, str):
        return given if " " in given else None
    return given if isinstance(given, np.ndarray) and given.ndim == 1 else None


def digest(payload: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(_numbers(payload), "float64").tobytes()).hexdigest()


def prepare_item(
    payload: Any, spec: SeriesSpec, name: str = ""
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the series and its mask; numbers stand between commas, spaces or ends of lines."""
    values = _numbers(payload)
    if not 0 < len(values) <= spec.length:
        raise BadItem(f"{len(values)} numbers; 1 to {spec.length} are taken")
    series, mask = np.zeros((1, spec.length), "float32"), np.zeros(spec.length, "int64")
    series[0, : len(values)] = values - values.mean()
    mask[: len(values)] = 1
    return {"series": series, "mask": mask}, ("one number alone",) if len(values) == 1 else ()


def _numbers(payload: Any) -> np.ndarray:
    if isinstance(payload, np.ndarray):
        return payload
    text = payload if isinstance(payload, str) else payload.decode()
    try:
        found = np.array([float(word) for word in text.replace(",", " ").split()])
    except ValueError as error:
        raise BadItem(f"not a series of numbers: {error}") from error
    if not np.isfinite(found).all():
        raise BadItem("values that are NaN or infinite")
    return found


def wanted(payload: Any, spec: SeriesSpec) -> tuple[str, str]:
    return f"up to {spec.length} numbers", "Type, for example:  series[:100]"


def picture(payload: Any, spec: SeriesSpec) -> str:
    """Return the series as a line."""
    values = _numbers(payload)
    low, high = values.min(), max(values.max(), values.min() + 1e-9)
    step = 120 / max(len(values) - 1, 1)
    points = (f"{4 + x * step:.1f},{60 - 56 * (y - low) / (high - low):.1f}"
              for x, y in enumerate(values))  # fmt: skip
    line = f'<polyline fill="none" stroke="black" points="{" ".join(points)}"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="128" height="64">{line}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
