"""How arrays are said in JSON: one, or several by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cutpoint.base.spec import ArraySpec, ArraysSpec


def spec_from_json(fields: Mapping[str, Any]) -> ArraySpec | ArraysSpec:
    """Return the spec that `fields` describe."""
    return ArraysSpec.from_json(fields) if "inputs" in fields else ArraySpec.from_json(fields)
