"""CSV files for people and spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a header, UTF-8.

    A text that a spreadsheet would run as a formula gets a leading ``'`` (OWASP, "CSV Injection").
    File names that are no valid Unicode come out as their own bytes.
    """
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        cell.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from JSON
        cell = cell.encode(errors="backslashreplace").decode()
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
