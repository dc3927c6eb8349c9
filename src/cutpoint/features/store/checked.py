"""A shard that is read in parts, each part checked in memory before it is used: I4."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cutpoint.base.files import told
from cutpoint.base.types import Array
from cutpoint.features.store.ragged import Kept, Ragged
from cutpoint.features.store.shard import DIGESTS, Tensor, corrupt, open_file, read_contents

BLOCK = 16_384  # bytes: a row's blocks are hashed in some 20 µs; their marks take 0.2 % of a shard
_BLOCKS_AT_ONCE = 64  # 1 MB in memory while a shard is hashed as a whole
_MARK = hashlib.sha256().digest_size


class CheckedShard:
    """One shard, hashed as a whole when it is opened, and block by block whenever it is read.

    While the file is hashed for the digest that was committed, the digest of each of its blocks is
    kept. Later reads are of whole blocks, into memory, and no byte of a block is given away before
    its digest was compared: what changes on the disk after the shard was opened is found, too, and
    it need not have changed the file's time. The file is never mapped into memory, so nothing can
    change between the comparison and the use.

    Attributes
    ----------
    digests : uint8 array of shape (n_rows, 32)
        Payload digest of each row.
    """

    def __init__(self, path: Path, sha256: str, spec_id: str) -> None:
        """Open a shard.

        Parameters
        ----------
        sha256 : str
            What was committed, 64 hex digits.
        spec_id : str
            Fingerprint of the spec it must belong to.

        Raises
        ------
        StoreCorrupt
            If the file is not what was committed, or is gone.
        StoreError
            If the disk does not give it at present.
        """
        self.path = path
        with self._open() as file:
            self._marks, n_bytes = self._marked(file, sha256)
            self._contents = read_contents(path, n_bytes, partial(self._read, file), spec_id)
            digests = self._contents.tensors[DIGESTS]
            self.digests = self._rows(file, digests, np.arange(digests.shape[0]))

    def is_ragged(self, tap: str) -> bool:
        """Say whether the rows of a tap differ in length."""
        return tap in self._contents.ragged

    def rows(self, tap: str, wanted: Array) -> Kept:
        """Return rows of a tap, ``(len(wanted), …)``, as they are kept.

        Parameters
        ----------
        wanted : int array
            Row numbers in this shard, in any order; each below ``len(digests)``.
        """
        if (wanted[1:] <= wanted[:-1]).any():
            order, back = np.unique(wanted, return_inverse=True)
            return self.rows(tap, order)[back]
        if not self.is_ragged(tap):
            return self._places(tap, wanted)
        offsets = self._contents.offsets[tap]
        starts, lengths = offsets[wanted], offsets[wanted + 1] - offsets[wanted]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        # Each place of the rows: counted from the start of its own.
        places = np.arange(ends[-1]) + np.repeat(starts - ends[:-1], lengths)
        return Ragged(self._places(tap, places), ends, self._contents.ragged[tap])

    def _places(self, tap: str, wanted: Array) -> Array:
        """Return places along the first axis of a tap's tensor, in ascending order."""
        tensor = self._contents.tensors[tap]
        # Places a block or less apart are read in one go, the others each for themselves.
        # What lies between two of them is read, too, where it is no more than a block.
        is_far = wanted[1:] - wanted[:-1] - 1 > BLOCK // max(tensor.row_bytes, 1)
        runs = split(wanted, is_far)
        with self._open() as file:
            parts = [self._rows(file, tensor, run) for run in runs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        """Open the file; one that is gone is another error than one the disk does not give now."""
        with open_file(self.path) as file, told(self.path, "read"):
            yield file

    def _marked(self, file: BinaryIO, sha256: str) -> tuple[bytes, int]:
        """Return the digests of the file's blocks, one after the other, and its size, or raise."""
        whole, marks, n_bytes = hashlib.sha256(), [], 0
        while part := file.read(_BLOCKS_AT_ONCE * BLOCK):
            whole.update(part)
            n_bytes += len(part)
            marks += list(_marks(part))
        if whole.hexdigest() != sha256:
            raise corrupt(self.path, f"its sha256 is {whole.hexdigest()[:16]}…, not {sha256[:16]}…")
        return b"".join(marks), n_bytes

    def _rows(self, file: BinaryIO, tensor: Tensor, rows: Array) -> Array:
        """Return rows in ascending order, read as one piece from the first to the last."""
        first, stop = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        each = tensor.row_bytes
        data = self._read(file, tensor.start + first * each, tensor.start + stop * each)
        found = np.frombuffer(data, tensor.dtype).reshape(stop - first, *tensor.shape[1:])
        return found if len(found) == len(rows) else found[rows - first]

    def _read(self, file: BinaryIO, start: int, stop: int) -> memoryview:
        """Return these bytes of the file, each of a block that was compared."""
        first, last = start // BLOCK, -(-stop // BLOCK)
        marks = self._marks[first * _MARK : last * _MARK]
        if len(marks) != (last - first) * _MARK:
            raise corrupt(self.path, f"it ends before byte {stop}")
        file.seek(first * BLOCK)
        data = file.read((last - first) * BLOCK)
        if b"".join(_marks(data)) != marks:
            raise corrupt(self.path, "it has changed since it was opened")
        return memoryview(data)[start - first * BLOCK : stop - first * BLOCK]


def split(rows: Array, is_end: Array) -> list[Array]:
    """Return the parts of an array that end where it is said; the last one is not asked for."""
    return np.split(rows, np.flatnonzero(is_end) + 1) if is_end.any() else [rows]


def _marks(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(data), BLOCK):
        yield hashlib.sha256(view[start : start + BLOCK]).digest()
