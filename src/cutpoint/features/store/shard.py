"""One immutable file of features: write it so that it is whole or absent, read it checked."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
import shlex
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from cutpoint.base.errors import StoreCorrupt, StoreError
from cutpoint.base.files import refused, told, write_durably
from cutpoint.base.spec import FeatureSpec, canonical_json
from cutpoint.base.types import Array
from cutpoint.features.store.half_precision import stored_dtype
from cutpoint.features.store.ragged import Kept, Ragged

FORMAT, RAGGED_FORMAT = 1, 2
DIGESTS, HEADER = "digests", "cutpoint"
OFFSETS = ":offsets"  # how the tensor is called, after its tap, that says where rows begin
_DTYPES = {
    "F32": "<f4",
    "F16": "<f2",
    "U8": "u1",
    "I64": "<i8",
}  # safetensors' names of what a shard may hold
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
# What a place in the store may be named; a path made of anything else could lead out of it.
_SHARD_NAME = re.compile(r"[0-9a-f]{32}\.safetensors", re.ASCII)
_SPEC_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


@dataclass(frozen=True)
class Receipt:
    """Proof that a unit's shard is on disk; all the driver needs to commit it."""

    spec_id: str
    name: str
    sha256: str
    n_bytes: int
    digests: tuple[str, ...]
    engine: str


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in its file; its first axis is rows, or places of ragged rows."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])


@dataclass(frozen=True)
class Contents:
    """What a sound shard tells: its taps' tensors and `DIGESTS`, of one length.

    `ragged` are the taps whose rows differ in length, each with the free axis of a row; `offsets`
    where their rows begin.
    """

    spec: FeatureSpec
    engine: str
    tensors: Mapping[str, Tensor]
    ragged: Mapping[str, int]
    offsets: Mapping[str, Array]

    @property
    def rows(self) -> dict[str, tuple[Any, ...]]:
        """What one row of each tap is, whatever its length."""
        tensors = self.tensors.items()
        return {name: (self.ragged.get(name), each.shape[1:]) for name, each in tensors}


def write_shard(
    folder: Path,
    spec: FeatureSpec,
    digests: Sequence[str],
    features: Mapping[str, Kept],
    engine: str,
) -> Receipt:
    """Write one shard durably and return its receipt.

    Parameters
    ----------
    folder : Path
        The shard folder of this spec; made if absent.
    digests : sequence of n_rows hex sha256
        One per row: the digest of its payload.
    features : mapping of tap name → array of shape (n_rows, …), or Ragged
    """
    spec_id = spec.fingerprint()
    ragged = {name: rows for name, rows in features.items() if isinstance(rows, Ragged)}
    tensors = {
        name: np.ascontiguousarray(rows.values if isinstance(rows, Ragged) else rows)
        for name, rows in features.items()
    }
    tensors |= {f"{name}{OFFSETS}": rows.offsets.astype("<i8") for name, rows in ragged.items()}
    tensors[DIGESTS] = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
    header = {"format": FORMAT, "spec_id": spec_id, "spec": spec.to_json(), "engine": engine}
    if ragged:
        axes = {name: rows.axis for name, rows in ragged.items()}
        header |= {"format": RAGGED_FORMAT, "ragged": axes}
    # One key: safetensors writes several in an order that differs from run to run.
    data = save(tensors, metadata={HEADER: canonical_json(header)})
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{sha256[:32]}.safetensors"
    write_durably(folder / name, data)
    return Receipt(spec_id, name, sha256, len(data), tuple(digests), engine)


def is_shard_name(name: object) -> bool:
    """Say whether `name` is 32 hex digits and the suffix, as every shard's is."""
    return isinstance(name, str) and _SHARD_NAME.fullmatch(name) is not None


def is_spec_id(name: object) -> bool:
    """Say whether `name` is 16 hex digits, as the folder of every spec is."""
    return isinstance(name, str) and _SPEC_ID.fullmatch(name) is not None


def is_digest(name: object) -> bool:
    """Say whether `name` is 64 hex digits, as a payload's digest is."""
    return isinstance(name, str) and _DIGEST.fullmatch(name) is not None


def sha256_of(path: Path) -> str:
    """Return the digest of a file.

    Raises
    ------
    StoreCorrupt
        If no file is there.
    StoreError
        If it can't be read just now, which says nothing of its bytes.
    """
    with open_file(path) as file, told(path, "read"):
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_file(path: Path) -> BufferedReader:
    """Open a file to read; raise as `sha256_of` does."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise corrupt(path, "it is no file")
        return path.open("rb")
    except StoreError:
        raise
    except (OSError, MemoryError) as error:
        if getattr(error, "errno", None) in _GONE:
            raise corrupt(path, f"it is not there ({error.strerror})") from error  # type: ignore[union-attr]  # an OSError has it
        raise refused(path, "read", error) from error


def read_file(path: Path) -> bytes:
    """Return a file's bytes; raise as `sha256_of` does."""
    with open_file(path) as file, told(path, "read"):
        return file.read()


def check_shard(path: Path, sha256: str) -> None:
    """Raise `StoreCorrupt` unless the file has exactly the bytes that were committed: I4.

    A file that can't be read just now raises `StoreError`: it is not known to be damaged.
    """
    found = sha256_of(path)
    if found != sha256:
        raise corrupt(path, f"its sha256 is {found[:16]}…, not {sha256[:16]}…")


def read_header(path: Path) -> tuple[Contents, tuple[str, ...]]:
    """Return contents and payload digests of a shard, or raise `StoreCorrupt`.

    It must belong to the spec that its folder is named by.
    """
    with open_file(path) as file, told(path, "read"):

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            found = file.read(stop - start)
            if len(found) != stop - start:
                raise corrupt(path, "it ends early")
            return found

        contents = read_contents(path, path.stat().st_size, read, path.parent.name)
        digests = contents.tensors[DIGESTS]
        data = read(digests.start, digests.start + digests.shape[0] * digests.row_bytes)
    return contents, tuple(data[place : place + 32].hex() for place in range(0, len(data), 32))


def read_receipt(path: Path) -> tuple[FeatureSpec, Receipt]:
    """Return what a shard says of itself, all that the catalog needs to know.

    Raises
    ------
    StoreCorrupt
        If it is damaged, which its name tells, or belongs to another spec than its folder.
    """
    sha256 = sha256_of(path)
    if path.stem != sha256[:32]:
        raise corrupt(path, f"its sha256 is {sha256[:16]}…, not its name")
    found, digests = read_header(path)
    spec_id, n_bytes = path.parent.name, path.stat().st_size
    return found.spec, Receipt(spec_id, path.name, sha256, n_bytes, digests, found.engine)


def read_spec(path: Path, fields: Mapping[str, Any]) -> FeatureSpec:
    """Return the spec in the fields of a file, or raise `StoreCorrupt` if it is none."""
    try:
        spec = FeatureSpec.from_json(fields["spec"])
        spec.fingerprint()
    except MALFORMED as error:
        raise corrupt(path, f"its spec is none ({error!r})") from error
    return spec


def read_json(path: Path, text: str | bytes) -> dict[str, Any]:
    """Return the JSON object in `text` of a file, or raise `StoreCorrupt` if it is none."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise corrupt(path, f"it holds no JSON ({error})") from error
    if not isinstance(fields, dict):
        raise corrupt(path, "its JSON is no object")
    return fields


def refuse_format(path: Path, found: object, known: int) -> None:
    """Raise unless a file is of a format that this release reads, 1 up to `known`."""
    if type(found) is not int or found < 1:
        raise corrupt(path, f"its format is {found!r}, and there was no such")
    if found <= known:
        return
    raise StoreError(
        f'"{path}" is of a later release.',
        f"Its format is {found}.",
        f"This release reads format {known}." if known == 1 else f"It reads formats 1 to {known}.",
        "Upgrade with:  pip install --upgrade cutpoint-ml",
    )


def read_contents(
    path: Path, n_bytes: int, read: Callable[[int, int], bytes | memoryview], spec_id: str
) -> Contents:
    """Return what a shard's header tells, or raise `StoreCorrupt` if no row could be read by it.

    The one judge of what is inside a shard: whoever commits it, looks at it or reads its rows asks
    here, so that none of them takes what another would refuse. Bytes are judged by their digest.

    Parameters
    ----------
    n_bytes : int
        Bytes of the file.
    read : callable
        Gives the file's bytes from one place to another.
    spec_id : str
        Fingerprint of the spec it must belong to.

    Notes
    -----
    safetensors: the header's length in 8 bytes, little-endian; the header, JSON; the tensors. The
    library's own reader maps the file and names every error of opening it "No such file"; a shard
    that can't be read just now must not pass for one that is gone.
    """
    start = 8 + int.from_bytes(read(0, min(8, n_bytes)), "little")
    if not 8 < start <= n_bytes:
        raise corrupt(path, "it is no safetensors file")
    entries = read_json(path, bytes(read(8, start)))
    try:
        header = read_json(path, entries.pop("__metadata__")[HEADER])
        refuse_format(path, header["format"], RAGGED_FORMAT)
        ragged = _ragged(header)
        tensors = {name: _placed(entry, start, n_bytes) for name, entry in entries.items()}
    except MALFORMED as error:
        raise corrupt(path, f"no shard of this format ({error!r})") from error
    spec = read_spec(path, header)
    if not spec.fingerprint() == header.get("spec_id") == spec_id:
        raise corrupt(path, f"it belongs to spec {header.get('spec_id')!r:.40}")  # I12
    what = _misfit(spec, tensors, ragged)
    if what:
        raise corrupt(path, what)
    offsets = {name: _offsets(tensors[f"{name}{OFFSETS}"], read) for name in ragged}
    for name, own in offsets.items():
        if own[0] != 0 or own[-1] != tensors[name].shape[0] or (own[1:] < own[:-1]).any():
            raise corrupt(path, f'the rows of its tensor "{name}" do not begin where it says')
    return Contents(spec, str(header.get("engine")), tensors, ragged, offsets)


def _ragged(header: Mapping[str, Any]) -> dict[str, int]:
    """Return the taps of ragged rows with their free axes; raise one of `MALFORMED` if it is none.

    Format 2 has one such tap or more, format 1 none.
    """
    if header["format"] == FORMAT:
        return {}
    found = dict(header["ragged"])
    if not found or not all(type(axis) is int for axis in found.values()):
        raise ValueError(f"{found} are no free axes")
    return found


def _offsets(tensor: Tensor, read: Callable[[int, int], bytes | memoryview]) -> Array:
    stop = tensor.start + tensor.shape[0] * tensor.row_bytes
    return np.frombuffer(read(tensor.start, stop), tensor.dtype)


def _misfit(spec: FeatureSpec, tensors: Mapping[str, Tensor], ragged: Mapping[str, int]) -> str:
    """Return why tensors are not those of a shard of this spec; nothing if they are."""
    taps = {tap.name for tap in spec.taps}
    of_offsets = {f"{name}{OFFSETS}" for name in ragged}
    missing = [name for name in (DIGESTS, *sorted(taps | of_offsets)) if name not in tensors]
    if missing:
        return f'it has no tensor "{missing[0]}"'
    strange = [name for name, axis in ragged.items() if not _is_ragged_tap(name, axis, tensors)]
    if strange or not ragged.keys() <= taps:
        return f"its ragged rows are {dict(ragged)}"
    n_rows = tensors[DIGESTS].shape[0]
    for name, tensor in tensors.items():
        n_axes = len(tensor.shape) + (name in ragged)
        if name == DIGESTS:
            is_right = tensor.dtype == "uint8" and tensor.shape[1:] == (32,)
        elif name in of_offsets:
            is_right = tensor.dtype == "int64" and len(tensor.shape) == 1
        else:
            is_right = tensor.dtype == stored_dtype(name, n_axes, spec.storage)
        if not is_right:
            return f'its tensor "{name}" is {tensor.dtype} of shape {tensor.shape}'
        if name not in ragged and tensor.shape[0] != n_rows + (name in of_offsets):
            return "its tensors are not of one length"
    return ""


def _is_ragged_tap(name: str, axis: int, tensors: Mapping[str, Tensor]) -> bool:
    return name in tensors and 0 <= axis < len(tensors[name].shape)


def _placed(fields: Mapping[str, Any], start: int, n_bytes: int) -> Tensor:
    """Return where a tensor lies, as the header tells that ends at `start`.

    Raises one of `MALFORMED` if it tells anything else.
    """
    dtype, shape = np.dtype(_DTYPES[fields["dtype"]]), tuple(fields["shape"])
    first, stop = fields["data_offsets"]
    numbers = (*shape, first, stop)
    if not shape or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"{numbers} are no sizes")
    if math.prod(shape) * dtype.itemsize != stop - first:
        raise ValueError(f"{shape} of {dtype} does not take {stop - first} bytes")
    if start + stop > n_bytes:
        raise ValueError("a tensor goes beyond the end")
    return Tensor(dtype, shape, start + first)


def _store_of(path: Path) -> Path:
    """Return the store a shard or a view lies in."""
    return path.parents[1] if path.parent.name == "views" else path.parents[2]


def corrupt(path: Path, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f'"{path}" is damaged.',
        f"It is not what was written: {what}.",
        "Only whole files are used; a damaged one is made again, and it alone.",
        f"Extract again, or look with:  cutpoint store verify {shlex.quote(str(_store_of(path)))}",
    )
