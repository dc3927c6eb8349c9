"""Read back the ``splits.csv`` that a fit has written, so that another fit has the same splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cutpoint.base.errors import DataError
from cutpoint.base.tables import as_written
from cutpoint.items.reading.items import Dataset
from cutpoint.items.reading.tables import bad_line, open_table

COLUMNS = ("key", "split", "label")
BAD_ROWS = "bad_rows.csv"  # beside it, if some items were bad


def read_written_splits(path: Path, dataset: Dataset) -> tuple[Mapping[str, str | None], list[str]]:
    """Return key → split, and what to say where the file differs from the items.

    Items without a label need not stand there; they are in no split.

    Raises
    ------
    DataError
        If the file is none of splits, an item with a label is missing, or none is known.
    """
    table = open_table(path)
    missing = [name for name in COLUMNS[:2] if name not in table.names]
    if missing:
        raise _no_splits(path, f"It has no column {', '.join(missing)}")
    found: dict[str, tuple[str, str]] = {}
    for line, cells in table.rows(COLUMNS):
        key, split, label = (as_written(str(cells.get(name) or "")) for name in COLUMNS)
        if key in found:
            raise bad_line(path, line, f'"{key}" stands there twice')
        found[key] = split, label
    known = [item for item in dataset.items if item.key in found]
    if not known:
        raise _no_splits(path, f'None of its {len(found)} keys is one of "{dataset.name}"')
    bad = _bad_keys(path.with_name(BAD_ROWS))
    absent = [i.key for i in dataset.items if i.key not in found and i.label is not None]
    if lost := [key for key in absent if key not in bad]:
        raise _no_splits(
            path, f'{len(lost)} items of "{dataset.name}" are not in it, as "{lost[0]}"'
        )
    others = [i for i in known if "label" in table.names and (i.label or "") != found[i.key][1]]
    told = []
    if others:
        first = others[0]
        told.append(
            f'{len(others)} labels are others than in {path.name}, such as that of "{first.key}": '
            f"{first.label}, not {found[first.key][1]}"
        )
    if absent:
        told.append(
            f"{len(absent)} items that were bad in that fit join training if they are whole"
        )
    splits: dict[str, str | None] = {item.key: None for item in dataset.items}
    splits |= dict.fromkeys(absent, "train")
    splits |= {key: split or None for key, (split, _) in found.items()}
    return splits, told


def _bad_keys(path: Path) -> set[str]:
    """Return the keys of the items that were bad in the fit, which are in no split."""
    if not path.exists():
        return set()
    return {as_written(str(cells["key"])) for _, cells in open_table(path).rows(["key"])}


def _no_splits(path: Path, why: str) -> DataError:
    return DataError(
        f'The splits in "{path}" don\'t fit the items.',
        f"{why}.",
        "The splits.csv of a fit on the same data: a split for each key.",
        f"Look at it with:  head {path}",
    )
