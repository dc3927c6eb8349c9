"""The calls of SQLite to its files, seen through a file system layer of its own (a VFS).

SQLite writes from C, so nothing in Python sees it. Its documented seam is: a default VFS can be
registered that passes everything on to the one before. https://www.sqlite.org/vfs.html
"""

from __future__ import annotations

import _sqlite3
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    addressof,
    c_char_p,
    c_int,
    c_int64,
    c_void_p,
    cast,
)
from typing import Any

OPEN_CREATE, OPEN_MAIN_JOURNAL = 0x4, 0x800
# What SQLite answers where a call fails: https://www.sqlite.org/rescode.html
FULL, CANTOPEN, NO_MEMORY = 13, 14, 3082
FAILED = {
    "read": 266,
    "write": 778,
    "fsync": 1034,
    "truncate": 1546,
    "unlink": 2570,
    "stat": 1802,
    "lock": 3850,
    "open": CANTOPEN,
}

_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_Close = CFUNCTYPE(c_int, c_void_p)
_Transfer = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Size = CFUNCTYPE(c_int, c_void_p, c_int64)
_Number = CFUNCTYPE(c_int, c_void_p, c_int)
_Pointer = CFUNCTYPE(c_int, c_void_p, c_void_p)


class _Vfs(Structure):
    _fields_ = [
        ("version", c_int),
        ("file_bytes", c_int),
        ("max_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        *((f"passed_on_{n}", c_void_p) for n in range(14)),
    ]


class _Methods(Structure):
    _fields_ = [
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("size", c_void_p),
        ("lock", c_void_p),
        *((f"passed_on_{n}", c_void_p) for n in range(11)),
    ]


class _File(Structure):
    _fields_ = [("methods", POINTER(_Methods))]


Show = Callable[..., None]


@contextmanager
def watched(before: Show, after: Show) -> Iterator[None]:
    """Show SQLite's calls as fields of `Call`; an `OSError` of `before` makes one fail."""
    # The library that Python's own module is linked to; or it is part of the program itself.
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    layer = _Layer(library.sqlite3_vfs_find(None).contents, before, after)
    library.sqlite3_vfs_register(ctypes.byref(layer.vfs), 1)
    try:
        yield
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(layer.vfs))
        _kept.append(layer)  # a connection that is still open calls it


_kept: list[Any] = []


def _answer(kind: str, error: OSError) -> int:
    """Return what SQLite's own VFS answers where a call fails with `error`."""
    if error.errno == errno.ENOMEM:
        return NO_MEMORY
    if error.errno == errno.ENOSPC and kind in ("write", "truncate"):
        return FULL
    return FAILED[kind]


class _Layer:
    """A VFS that passes everything on to the one below, and shows what changes files."""

    def __init__(self, below: _Vfs, before: Show, after: Show) -> None:
        self.before, self.after = before, after
        self.files: dict[int, tuple[str, _Methods]] = {}  # address → path, methods below
        self.unsynced: set[str] = set()  # new journals: SQLite syncs their folder with them
        self._tables: dict[int, _Methods] = {}
        self._open_below, self._delete_below = _Open(below.open), _Delete(below.delete)
        self.vfs = _Vfs.from_buffer_copy(below)
        self.vfs.next, self.vfs.name = None, b"watched"
        self._own = [_Open(self._open), _Delete(self._delete)]  # kept from the collector
        self.vfs.open, self.vfs.delete = (cast(each, c_void_p).value for each in self._own)
        self._replaced = {
            "close": _Close(self._close),
            "read": _Transfer(self._read),
            "write": _Transfer(self._write),
            "truncate": _Size(self._truncate),
            "sync": _Number(self._sync),
            "size": _Pointer(self._size),
            "lock": _Number(self._lock),
        }

    def _do(self, fields: dict[str, Any], work: Callable[[], int]) -> int:
        try:
            self.before(**fields)
        except OSError as error:
            return _answer(fields["kind"], error)
        code = work()
        if code == 0:
            self.after(**fields)
        return code

    def _open(self, vfs: int, name: int, file: int, flags: int, out: int) -> int:
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        makes = bool(flags & OPEN_CREATE) and not os.path.lexists(path)
        fields = {"kind": "open", "path": path, "makes": makes}
        code = self._do(fields, lambda: self._open_below(vfs, name, file, flags, out))
        opened = _File.from_address(file)
        if code == 0 and opened.methods:
            below = opened.methods.contents
            self.files[file] = (path, below)
            if makes and flags & OPEN_MAIN_JOURNAL:
                self.unsynced.add(path)
            opened.methods = ctypes.pointer(self._table(below))
        elif code:
            opened.methods = POINTER(_Methods)()  # else SQLite would close what is not open
        return code

    def _table(self, below: _Methods) -> _Methods:
        where = addressof(below)
        if where not in self._tables:
            table = _Methods.from_buffer_copy(below)
            for name, function in self._replaced.items():
                setattr(table, name, cast(function, c_void_p).value)
            self._tables[where] = table
        return self._tables[where]

    def _delete(self, vfs: int, name: bytes, sync_folder: int) -> int:
        path = os.fsdecode(name)
        fields = {"kind": "unlink", "path": path}
        code = self._do(fields, lambda: self._delete_below(vfs, name, sync_folder))
        if code == 0 and sync_folder & 1:
            self.after(kind="fsync", path=os.path.dirname(path))
        return code

    def _close(self, file: int) -> int:
        _, below = self.files.pop(file)
        return int(_Close(below.close)(file))

    def _read(self, file: int, buffer: int, size: int, offset: int) -> int:
        path, below = self.files[file]
        fields = {"kind": "read", "path": path}
        return self._do(fields, lambda: _Transfer(below.read)(file, buffer, size, offset))

    def _write(self, file: int, buffer: int, size: int, offset: int) -> int:
        path, below = self.files[file]
        data = ctypes.string_at(buffer, size)
        fields = {"kind": "write", "path": path, "data": data, "offset": offset}
        return self._do(fields, lambda: _Transfer(below.write)(file, buffer, size, offset))

    def _truncate(self, file: int, size: int) -> int:
        path, below = self.files[file]
        fields = {"kind": "truncate", "path": path, "offset": size}
        return self._do(fields, lambda: _Size(below.truncate)(file, size))

    def _sync(self, file: int, flags: int) -> int:
        path, below = self.files[file]
        fields = {"kind": "fsync", "path": path}
        code = self._do(fields, lambda: _Number(below.sync)(file, flags))
        if code == 0 and path in self.unsynced:
            self.unsynced.discard(path)
            self.after(kind="fsync", path=os.path.dirname(path))
        return code

    def _size(self, file: int, out: int) -> int:
        path, below = self.files[file]
        return self._do({"kind": "stat", "path": path}, lambda: _Pointer(below.size)(file, out))

    def _lock(self, file: int, level: int) -> int:
        path, below = self.files[file]
        return self._do({"kind": "lock", "path": path}, lambda: _Number(below.lock)(file, level))
