"""I1, I3: a file is whole or absent, its name outlives a power cut, and refusals are told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cutpoint.base.errors import StoreError
from cutpoint.base.files import make_folder, move_aside, told, write_durably


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were synced, in order."""
    paths: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_the_parent_of_each_new_folder_is_synced_before_anything_is_put_in_it(
    tmp_path: Path, synced: list[str]
) -> None:
    write_durably(tmp_path / "a" / "b" / "c" / "file", b"x")
    names = [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert synced[:3] == list(map(str, names))
    assert synced[3].startswith(str(tmp_path / "a" / "b" / "c" / "file."))
    assert synced[4:] == [str(tmp_path / "a" / "b" / "c")]


def test_a_folder_that_is_there_is_not_synced_again(tmp_path: Path, synced: list[str]) -> None:
    make_folder(tmp_path)
    assert synced == []


def test_a_folder_that_may_not_be_listed_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def closed(path: object, *flags: object, **more: object) -> int:
        if Path(str(path)) == tmp_path:
            raise OSError(errno.EACCES, "Permission denied")
        return real(path, *flags, **more)

    monkeypatch.setattr(os, "open", closed)
    make_folder(tmp_path / "new")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize(
    ("number", "first"),
    [
        (errno.ENOSPC, "The disk is full: "),
        (errno.EDQUOT, "The disk is full: "),
        (errno.EIO, '"'),
        (errno.EROFS, '"'),
    ],
)
def test_a_refusal_is_told_in_the_system_s_words_and_the_older_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, first: str
) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError) as caught:
        write_durably(tmp_path / "file", b"new")
    assert str(caught.value).startswith(first)
    assert f"The system answered: {os.strerror(number)}." in str(caught.value)
    assert caught.value.errno == number
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_too_little_memory_is_told_like_any_refusal() -> None:
    with pytest.raises(StoreError, match="Cannot allocate memory"), told(Path("x"), "read"):
        raise MemoryError


def test_a_file_is_moved_aside_over_no_other(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "file").write_text(str(number))
        move_aside(tmp_path / "file", tmp_path / "damaged")
    kept = {path.name: path.read_text() for path in (tmp_path / "damaged").iterdir()}
    assert kept == {"file": "0", "file.1": "1", "file.2": "2"}


def test_of_a_link_the_link_is_moved_aside_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert move_aside(tmp_path / "link", tmp_path / "damaged").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "mine"
