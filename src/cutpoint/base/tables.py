"""CSV files for people and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cutpoint.base.files import write_durably

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a header, UTF-8.

    A text that a spreadsheet would run as a formula gets a leading ``'`` (OWASP, "CSV Injection").
    File names that are no valid Unicode come out as their own bytes.

    Raises
    ------
    StoreError
        If the disk is full or refuses; an older file of that name is as it was then.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    write_durably(path, text.getvalue().encode("utf-8", "surrogateescape"))


def as_written(cell: str) -> str:
    """Return a cell as it was before `write_csv` made it harmless."""
    is_guarded = cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS)
    return cell[1:] if is_guarded else cell


def guarded(text: str) -> str:
    """Return a text as `write_csv` writes it, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        cell.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from JSON
        cell = cell.encode(errors="backslashreplace").decode()
    return guarded(cell)
