"""Where a run stands, in one file that is whole or absent, whenever the machine stops."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cutpoint.base.files import write_durably
from cutpoint.base.spec import canonical_json
from cutpoint.base.types import Array

EVERY_S = 10.0
_FIELDS = "fields"

State = tuple[dict[str, Any], dict[str, Array]]
"""JSON types, and arrays."""


@dataclass
class Checkpoint:
    """The file of one run.

    Attributes
    ----------
    path : Path
        None: nothing is kept.
    every_s : float
        Seconds between two that are written while it runs.
    """

    path: Path | None
    every_s: float = EVERY_S
    clock: Callable[[], float] = time.monotonic
    _last: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def read(self) -> State | None:
        """Return what was written last; None if there is nothing, or it can't be read."""
        if self.path is None or not self.path.exists():
            return None
        try:
            with safe_open(self.path, "numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
                return json.loads(file.metadata()[_FIELDS]), arrays
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None  # it is made anew, from the run's start

    @property
    def is_due(self) -> bool:
        return self.path is not None and self.clock() - self._last >= self.every_s

    def write(self, fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Keep a state in place of the last one, at once or not at all."""
        if self.path is None:
            return
        whole = {name: np.require(each, requirements="C") for name, each in arrays.items()}
        write_durably(self.path, save(whole, {_FIELDS: json.dumps(fields)}))
        self._last = self.clock()


def key_of(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Return 16 hex digits that differ where anything does that decides a run's numbers."""
    digest = hashlib.sha256(canonical_json(fields).encode())
    for name, each in sorted(arrays.items()):
        digest.update(f"{name}{each.dtype}{each.shape}".encode())
        digest.update(np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()[:16]
