"""Which files and objects are arrays, and what tells two of them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

NAME = "array"
NOUN = "array"
ITEMS = "an array, a mapping of name → array, or the path or bytes of an .npy or .npz file"
SUFFIXES = frozenset(["npy", "npz"])


def payload_of(given: Any) -> Any:
    """Return an array as it is, of a mapping the arrays by name; None for anything else."""
    if isinstance(given, Mapping):
        return {str(name): np.asarray(each) for name, each in given.items()}
    is_array = isinstance(given, np.ndarray | np.generic) or hasattr(given, "__array__")
    return np.asarray(given) if is_array else None


def digest(payload: Any) -> str:
    """Return the sha256 of an array, of its type and shape; of several with their names."""
    if not isinstance(payload, Mapping):
        return _sha256(payload)
    parts = (f"{name}={_sha256(payload[name])};" for name in sorted(payload))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _sha256(array: Any) -> str:
    facts = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(facts + np.ascontiguousarray(array).tobytes()).hexdigest()
