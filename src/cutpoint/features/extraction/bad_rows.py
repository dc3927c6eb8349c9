"""The items that could not be used, listed for a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cutpoint.base.files import told
from cutpoint.base.tables import write_csv

BAD_ROWS = "bad_rows.csv"


def write_bad_rows(folder: Path, quarantined: Sequence[tuple[str, str]]) -> None:
    """Write ``bad_rows.csv`` with key and reason; without bad rows there is no such file."""
    path = folder / BAD_ROWS
    if quarantined:
        write_csv(path, ("key", "reason"), quarantined)
    elif path.exists():  # else a disk that may only be read would refuse what need not be done
        with told(path, "removed"):
            path.unlink()
