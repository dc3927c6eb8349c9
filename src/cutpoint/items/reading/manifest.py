"""Manifests: CSV, Parquet or JSON lines with ``path, label`` and maybe ``split, group, id``."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cutpoint.base.errors import DataError, MissingExtra, ModalityError
from cutpoint.base.spec import parse_json
from cutpoint.items.reading.folder import SPLIT_NAMES
from cutpoint.items.reading.items import Dataset, Item
from cutpoint.items.reading.labels import is_absent, read_labels, refuse_twins, same_numbers
from cutpoint.items.reading.targets import tell_kind

COLUMNS = ("path", "label", "split", "group", "id")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
Row = tuple[int, dict[str, Any]]  # line number in the file, cells by column


def read_manifest(path: Path, kind: str = "image") -> Dataset:
    """Return the items a manifest lists; its paths are relative to the manifest's folder.

    Columns: ``path`` and, all optional, ``label``, ``split`` (train, val or test), ``group``
    (items that must stay together), ``id`` (the key; the path if absent).
    """
    try:
        rows = list(_rows(path))
    except OSError as error:
        raise _bad_line(path, 1, f"can't be read ({error.strerror})") from error
    given = [_label(cells.get("label")) for _, cells in rows]
    texts, label_type, target = _labels(path, rows, given)
    items = [
        _item(path, line, cells, text) for (line, cells), text in zip(rows, texts, strict=True)
    ]
    _refuse_duplicates(
        path, [(line, item.key) for (line, _), item in zip(rows, items, strict=True)]
    )
    classes = tuple(sorted({item.label for item in items if item.label is not None}))
    return Dataset(
        str(path),
        tuple(sorted(items, key=lambda item: item.key)),
        classes,
        warnings=(
            *_ignored_columns(path, rows),
            *(() if tell_kind(texts, layout=target).name == "values" else same_numbers(texts)),
            *_merged_groups([cells.get("group") for _, cells in rows]),
        ),
        label_type=label_type,
        kind=kind,
        target=target,
    )


def _labels(path: Path, rows: list[Row], given: list[Any]) -> tuple[list[str | None], str, str]:
    """Return what `read_labels` does; raise `DataError` for those that are nearly one."""
    texts, label_type, target = read_labels(str(path), given)
    places = [
        (text, str(line)) for (line, _), text in zip(rows, texts, strict=True) if text is not None
    ]
    refuse_twins(str(path), places, "line", f"Look at them with:  less -N {path}")
    return texts, label_type, target


def _ignored_columns(path: Path, rows: list[Row]) -> tuple[str, ...]:
    """Return what to tell of columns that are not read; raise if one is nearly one that is."""
    names = dict.fromkeys(name for _, cells in rows for name in cells)
    others = [name for name in names if name not in COLUMNS]
    for name in others:
        meant = str(name).strip().casefold().removesuffix("s")
        if meant in COLUMNS:
            raise DataError(
                f'The manifest "{path}" has a column "{name}", and none is read by that name.',
                f"Perhaps `{meant}` is meant; as it is, its values would not be used.",
                f"Columns: {', '.join(COLUMNS)}.",
                f"Rename the column to:  {meant}",
            )
    return (f"columns not read: {', '.join(map(str, others))}",) if others else ()


def _merged_groups(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return what to tell of groups that are a number in some lines and the same text in others."""
    types: dict[str, set[type]] = {}
    for cell in cells:
        name = _word(cell)
        if name is not None:
            types.setdefault(name, set()).add(type(cell))
    return tuple(
        f"group {name} is a number in some lines and text in others: taken as one group"
        for name, each in types.items()
        if len(each) > 1 and str in each
    )


def _rows(path: Path) -> Iterator[Row]:
    if path.suffix in (".csv", ".tsv"):
        return _csv_rows(path)
    if path.suffix == ".parquet":
        return _parquet_rows(path)
    return _json_rows(path)


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        header = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=header.count)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            names = [name.strip() for name in next(reader, [])]
            _refuse_repeated(path, names)
            for cells in reader:
                if cells and len(cells) != len(names):
                    raise _bad_line(path, reader.line_num, f"{len(cells)} cells, not {len(names)}")
                if cells:
                    yield reader.line_num, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise _bad_line(path, reader.line_num, str(error)) from error


def _refuse_repeated(path: Path, names: list[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise _bad_line(path, 1, f'column "{twice[0]}" is there {names.count(twice[0])} times')


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                cells = parse_json(line.decode("utf-8-sig"))
            except ValueError as error:  # no UTF-8, or no JSON
                raise _bad_line(path, number, str(error)) from error
            if not isinstance(cells, dict):
                raise _bad_line(path, number, "not a JSON object")
            yield number, cells


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(f'The Parquet manifest "{path}"', "parquet") from error
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise _bad_line(path, 1, f"no Parquet ({error})") from error
    yield from enumerate(rows, start=1)


def _item(path: Path, line: int, cells: dict[str, Any], label: str | None) -> Item:
    if "path" not in cells:
        raise _no_path_column(path, list(cells))
    text = _text(cells["path"])
    if text is None:
        raise _bad_line(path, line, "the path is empty")
    location = Path(os.path.normpath(path.parent / text))
    relative = Path(os.path.relpath(location, path.parent)).as_posix()
    return Item(
        key=unicodedata.normalize("NFC", _text(cells.get("id")) or relative),
        payload=location,
        label=label,
        group=_word(cells.get("group")),
        split=_split(path, line, _word(cells.get("split"))),
    )


def _text(cell: Any) -> str | None:
    return None if is_absent(cell) or cell == "" else str(cell)


def _word(cell: Any) -> str | None:
    """Return a cell without the spaces around it, None if it is blank."""
    return (_text(cell) or "").strip() or None


def _label(cell: Any) -> Any:
    """Return a label as it stands there, text in NFC as folders' names are; None if it is blank."""
    is_text = isinstance(cell, str)
    return (unicodedata.normalize("NFC", cell) if cell.strip() else None) if is_text else cell


def _split(path: Path, line: int, name: str | None) -> str | None:
    if name is None:
        return None
    if name.lower() not in SPLIT_NAMES:
        raise _bad_line(path, line, f'split "{name}" is none of train, val, test')
    return SPLIT_NAMES[name.lower()]


def _refuse_duplicates(path: Path, lines: list[tuple[int, str]]) -> None:
    first: dict[str, int] = {}
    for line, key in lines:
        if key in first:
            raise DataError(
                f'"{key}" stands twice in the manifest "{path}".',
                f"It is in lines {first[key]} and {line}.",
                "Each item may stand there once; an `id` column can tell copies apart.",
                f"Look at it with:  sed -n '{first[key]}p;{line}p' {path}",
            )
        first[key] = line


def _bad_line(path: Path, line: int, what: str) -> DataError:
    return DataError(
        f'The manifest "{path}" can\'t be read.',
        f"Line {line}: {what}.",
        "Every line has the columns of the header: path, label and maybe split, group, id.",
        f"Look at it with:  sed -n {line}p {path}",
    )


def _no_path_column(path: Path, columns: list[str]) -> ModalityError:
    return ModalityError(
        f'The manifest "{path}" has no column `path`.',
        f"Its columns are: {', '.join(columns) or 'none'}.",
        "A manifest of files has the columns path, label and maybe split, group, id.",
        "Rename the column that holds the file names to:  path",
    )
