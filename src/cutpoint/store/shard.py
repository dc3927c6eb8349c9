"""One immutable file of features: write it so that it is whole or absent, read it checked."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cutpoint.errors import StoreCorrupt, StoreError
from cutpoint.spec import FeatureSpec, canonical_json
from cutpoint.types import Array

FORMAT = 1
DIGESTS, HEADER = "digests", "cutpoint"
TMP_SUFFIX = ".tmp"
_UNREADABLE = (OSError, SafetensorError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Receipt:
    """Proof that a unit's shard is on disk; all the driver needs to commit it."""

    spec_id: str
    name: str
    sha256: str
    n_bytes: int
    digests: tuple[str, ...]
    engine: str


def write_shard(
    folder: Path,
    spec: FeatureSpec,
    digests: Sequence[str],
    features: Mapping[str, Array],
    engine: str,
) -> Receipt:
    """Write one shard durably and return its receipt.

    Parameters
    ----------
    folder : Path
        The shard folder of this spec; made if absent.
    digests : sequence of n_rows hex sha256
        Of the payloads, one a row.
    features : mapping of tap name → array of shape (n_rows, …)
    """
    spec_id = spec.fingerprint()
    tensors = {name: np.ascontiguousarray(rows) for name, rows in features.items()}
    tensors[DIGESTS] = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
    header = {"format": FORMAT, "spec_id": spec_id, "spec": spec.to_json(), "engine": engine}
    # One key: safetensors writes several in an order that differs from run to run.
    data = save(tensors, metadata={HEADER: canonical_json(header)})
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{sha256[:32]}.safetensors"
    write_durably(folder / name, data)
    return Receipt(spec_id, name, sha256, len(data), tuple(digests), engine)


def write_durably(path: Path, data: bytes, scratch: Path | None = None) -> None:
    """Write `data` so that after any crash the file is whole or absent: I1, I3.

    It is written in `scratch`, by default its own folder, and then renamed.
    """
    unique = f"{path.name}.{os.getpid()}.{threading.get_ident()}{TMP_SUFFIX}"
    temporary = (scratch or path.parent) / unique
    try:
        for folder in (path.parent, temporary.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _fsync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f'"{path}" was to be written ({len(data)} bytes).',
            f"The disk answered: {error.strerror or error}.",
            "A folder this user may write to, with enough space; nothing written is lost.",
            f"Look at it with:  df -h {path.parent}",
        ) from error


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle to sync a folder by
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_shard(path: Path, sha256: str) -> None:
    """Raise `StoreCorrupt` unless the file has exactly the bytes that were committed: I4."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise corrupt(path, error.strerror or str(error)) from error
    if found != sha256:
        raise corrupt(path, f"its sha256 is {found[:16]}…, not {sha256[:16]}…")


def read_header(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return header and payload digests of a shard, or raise `StoreCorrupt`."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()[HEADER])
            digests = file.get_tensor(DIGESTS)
    except _UNREADABLE as error:
        raise corrupt(path, f"no shard of this format ({error!r})") from error
    return header, tuple(bytes(row).hex() for row in digests)


def _store_of(path: Path) -> Path:
    """Return the store a shard or a view lies in."""
    return path.parents[1] if path.parent.name == "views" else path.parents[2]


def corrupt(path: Path, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f'"{path}" was to be read.',
        f"It is not what was written: {what}.",
        "Only whole files are used; a damaged one is made again, and it alone.",
        f"Extract again, or look with:  cutpoint store verify {_store_of(path)}",
    )
