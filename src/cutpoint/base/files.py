"""Files that outlive a crash or a power cut, and what is said when the disk refuses."""

from __future__ import annotations

import errno
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutpoint.base.errors import StoreError

TMP_SUFFIX = ".tmp"
_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_NO_SYNC = (errno.EACCES, errno.EINVAL)  # a folder that may be written but not listed; some shares


def write_durably(path: Path, data: bytes, scratch: Path | None = None) -> None:
    """Write `data` so that after any crash or power cut the file is whole or absent: I1, I3.

    It is written in `scratch`, by default its own folder, and then renamed. Folders that are
    missing are made.

    Raises
    ------
    StoreError
        If the disk is full or refuses.
    """
    unique = f"{path.name}.{os.getpid()}.{threading.get_ident()}{TMP_SUFFIX}"
    temporary = (scratch or path.parent) / unique
    with told(path, "written"):
        make_folder(path.parent)
        make_folder(temporary.parent)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            _forget(temporary)
            raise
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that a power cut leaves what is put in it reachable.

    A new name is in its parent only once the parent is synced.
    """
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system can."""
    if os.name == "nt":  # Windows has no handle to sync a folder by
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def move_aside(path: Path, folder: Path) -> Path:
    """Rename a file, or a link itself, into `folder`, never over another; return its new path."""
    with told(path, "moved aside"):
        make_folder(folder)
        target = free_name(folder, path.name)
        os.rename(path, target)
        sync_folder(folder)
        sync_folder(path.parent)
    return target


def free_name(folder: Path, name: str) -> Path:
    """Return a path in `folder` where nothing is: `name`, or the first of ``name.1`` and on."""
    names = [name, *(f"{name}.{number}" for number in range(1, 1000))]
    return next(folder / each for each in names if not os.path.lexists(folder / each))


@contextmanager
def told(path: Path, verb: str) -> Iterator[None]:
    """Turn what the system answers while `path` is ``"read"`` or ``"written"`` to `StoreError`."""
    try:
        yield
    except StoreError:  # an OSError, too
        raise
    except (OSError, MemoryError) as error:
        raise refused(path, verb, error) from error


def refused(path: Path, verb: str, error: BaseException) -> StoreError:
    """Return the error that says why the system did not let `path` be ``"read"`` or ``"written"``.

    Its `errno` is the system's.
    """
    reason = _reason(error)
    number = getattr(error, "errno", None)
    folder = shlex.quote(str(path.parent))
    if number in _IS_FULL:
        made = StoreError(
            f'The disk is full: "{path}" could not be {verb}.',
            f"The system answered: {reason}.",
            "Free space on that disk, or another disk; nothing that was stored is lost.",
            f"Look at it with:  df -h {folder}",
        )
    else:
        made = StoreError(
            f'"{path}" could not be {verb}.',
            f"The system answered: {reason}.",
            "A disk that answers and a folder this user may use; nothing that was stored is lost.",
            f"Look at it with:  ls -ld {folder}   then repeat what you did",
        )
    made.errno = number
    return made


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return os.strerror(errno.ENOMEM)
    return getattr(error, "strerror", None) or str(error)


def _forget(temporary: Path) -> None:
    """Remove a half-written file; on a disk that fails it stays, and the first error is raised."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return
