"""Every call to the disk below some folders, seen before and after: Python's own and SQLite's.

A watcher may raise `OSError` before a call, which then fails with it as on a failing disk; or write
the call down after it.
"""

from __future__ import annotations

import builtins
import io
import mmap
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from tests.torture import sqlite_calls


@dataclass(frozen=True)
class Call:
    """One call to the disk.

    Attributes
    ----------
    kind : str
        ``"open"``, ``"read"``, ``"write"``, ``"truncate"``, ``"fsync"``, ``"rename"``, ``"mkdir"``,
        ``"rmdir"``, ``"unlink"``, ``"list"``, ``"stat"``, ``"lock"`` or ``"mmap"``.
    path : str
    by : {"python", "sqlite"}
    data : bytes
        What is written.
    offset : int
        Where; of a truncation, the new size.
    to : str
        Of a rename, the new name.
    makes, empties : bool
        Of an opening: whether the file is new; whether it is cut to nothing.
    """

    kind: str
    path: str
    by: str = "python"
    data: bytes = b""
    offset: int = 0
    to: str = ""
    makes: bool = False
    empties: bool = False


Watch = Callable[[Call], None]


def ignore(call: Call) -> None:
    """See a call and do nothing."""


@contextmanager
def watched(
    roots: tuple[str, ...], before: Watch = ignore, after: Watch = ignore
) -> Iterator[None]:
    """Show every call below `roots` to `before` and, where it succeeded, to `after`."""
    disk = _Disk(roots, before, after)
    with ExitStack() as stack:
        for target, name, new in disk.replacements():
            stack.enter_context(mock.patch.object(target, name, new))
        # A walk by open folders' handles would give names without their folder.
        stack.enter_context(mock.patch.object(shutil, "_use_fd_functions", False))
        with sqlite_calls.watched(
            lambda **fields: disk.show(before, Call(by="sqlite", **fields)),
            lambda **fields: disk.show(after, Call(by="sqlite", **fields)),
        ):
            yield


class _Disk:
    """The functions of `os`, `io` and `mmap`: shown, and passed on."""

    def __init__(self, roots: tuple[str, ...], before: Watch, after: Watch) -> None:
        self.roots, self.before, self.after = roots, before, after
        self.paths: dict[int, str] = {}  # open handle → path
        self.exists = os.path.lexists

    def replacements(self) -> list[tuple[Any, str, Any]]:
        by_path = {
            "mkdir": "mkdir",
            "rmdir": "rmdir",
            "unlink": "unlink",
            "remove": "unlink",
            "scandir": "list",
            "listdir": "list",
            "stat": "stat",
        }
        found = [
            (os, name, self._of_path(kind, getattr(os, name))) for name, kind in by_path.items()
        ]
        found += [(os, name, self._renaming(getattr(os, name))) for name in ("replace", "rename")]
        found += [
            (os, "open", self._opening(os.open)),
            (os, "close", self._closing(os.close)),
            (os, "fsync", self._of_handle("fsync", os.fsync)),
            (os, "read", self._of_handle("read", os.read)),
            (io, "open", self._opening_file(io.open)),
            (builtins, "open", self._opening_file(io.open)),
            (mmap, "mmap", self._of_handle("mmap", mmap.mmap)),
        ]
        mapping = [m for n, m in sys.modules.items() if n.startswith("cutpoint.")]
        return found + [
            (module, "safe_open", self._of_path("mmap", module.safe_open))
            for module in mapping
            if hasattr(module, "safe_open")
        ]

    def show(self, watch: Watch, call: Call) -> None:
        if call.path.startswith(self.roots):
            watch(call)

    def do(self, call: Call, work: Callable[[], Any]) -> Any:
        self.show(self.before, call)
        done = work()
        self.show(self.after, call)
        return done

    def _of_path(self, kind: str, real: Any) -> Any:
        def replaced(path: Any = ".", *args: Any, **named: Any) -> Any:
            name = self._name(path)
            return self.do(Call(kind, name), lambda: real(path, *args, **named))

        return replaced

    def _of_handle(self, kind: str, real: Any) -> Any:
        def replaced(handle: int, *args: Any, **named: Any) -> Any:
            name = self.paths.get(handle, "")
            return self.do(Call(kind, name), lambda: real(handle, *args, **named))

        return replaced

    def _renaming(self, real: Any) -> Any:
        def replaced(path: Any, to: Any, **named: Any) -> None:
            call = Call("rename", self._name(path), to=self._name(to))
            self.do(call, lambda: real(path, to, **named))

        return replaced

    def _opening(self, real: Any) -> Any:
        def replaced(path: Any, flags: int, *args: Any, **named: Any) -> int:
            name = self._name(path)
            makes = bool(flags & os.O_CREAT) and not self.exists(name)
            call = Call("open", name, makes=makes, empties=bool(flags & os.O_TRUNC))
            handle: int = self.do(call, lambda: real(path, flags, *args, **named))
            self.paths[handle] = name
            return handle

        return replaced

    def _closing(self, real: Any) -> Any:
        def replaced(handle: int) -> None:
            self.paths.pop(handle, None)
            real(handle)

        return replaced

    def _opening_file(self, real: Any) -> Any:
        def replaced(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            if isinstance(file, int) or not self._name(file).startswith(self.roots):
                return real(file, mode, *args, **named)
            return self._file(file, mode, *args, **named)

        return replaced

    def _file(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        """Return what `io.open` does, made of the same parts, its lowest one watched."""
        bare = mode.replace("b", "").replace("t", "")
        raw = _WatchedFile(self, file, bare, opener)
        if buffering == 0:
            return raw
        if "+" in bare:
            buffered: Any = io.BufferedRandom(raw)
        elif "r" in bare:
            buffered = io.BufferedReader(raw)
        else:
            buffered = io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline)

    @staticmethod
    def _name(path: Any) -> str:
        return "" if isinstance(path, int) else os.path.abspath(os.fsdecode(path))


class _WatchedFile(io.FileIO):
    """An unbuffered file whose calls are shown."""

    def __init__(self, disk: _Disk, path: Any, mode: str, opener: Any) -> None:
        self._disk, self._path = disk, disk._name(path)
        makes = "r" not in mode and not disk.exists(self._path)
        call = Call("open", self._path, makes=makes, empties="w" in mode)
        disk.do(call, lambda: super(_WatchedFile, self).__init__(path, mode, opener=opener))
        disk.paths[self.fileno()] = self._path

    def readinto(self, buffer: Any) -> Any:
        return self._disk.do(
            Call("read", self._path), lambda: super(_WatchedFile, self).readinto(buffer)
        )

    def readall(self) -> Any:
        return self._disk.do(Call("read", self._path), super().readall)

    def read(self, size: int | None = -1) -> Any:
        return self._disk.do(Call("read", self._path), lambda: super(_WatchedFile, self).read(size))

    def write(self, data: Any) -> Any:
        call = Call("write", self._path, data=bytes(data), offset=self.tell())
        return self._disk.do(call, lambda: super(_WatchedFile, self).write(data))

    def truncate(self, size: int | None = None) -> Any:
        call = Call("truncate", self._path, offset=self.tell() if size is None else size)
        return self._disk.do(call, lambda: super(_WatchedFile, self).truncate(size))

    def close(self) -> None:
        if not self.closed:
            self._disk.paths.pop(self.fileno(), None)
        super().close()
