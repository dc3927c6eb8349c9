from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.base.errors import DataError, UsageError
from cutpoint.items.reading import read_dataset, read_items


def test_a_file_of_another_kind_and_a_missing_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="a file of another kind"):
        read_dataset(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match="There is no"):
        read_dataset(tmp_path / "absent")


def test_an_empty_folder_has_nothing_to_describe_and_an_empty_path_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There are no items in"):
        read_items(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="holds 1 other entry"):
        read_items(tmp_path)
    for read in (read_items, read_dataset):
        with pytest.raises(UsageError, match="which is no path"):
            read("")
