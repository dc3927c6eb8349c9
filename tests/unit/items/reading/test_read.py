from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.base.errors import UsageError
from cutpoint.items.reading import read_dataset


def test_a_file_of_another_kind_and_a_missing_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="a file of another kind"):
        read_dataset(tmp_path / "notes.txt")
    with pytest.raises(UsageError, match="There is no"):
        read_dataset(tmp_path / "absent")
