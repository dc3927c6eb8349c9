"""Manifests: tables whose rows are items, in one file or in one for each split."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cutpoint.base.contracts import Kind
from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import option
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.folder import SPLIT_NAMES
from cutpoint.items.reading.items import Dataset, Item
from cutpoint.items.reading.labels import is_absent, read_labels, refuse_twins, same_numbers
from cutpoint.items.reading.named import ABOUT, APART, FILES, Columns
from cutpoint.items.reading.tables import Table, bad_line, is_table, look_at, open_table
from cutpoint.items.reading.targets import tell_kind

DESCRIBED = ("id",)  # of items without labels, what is read beside them


@dataclass(frozen=True)
class _Row:
    """One row of one file.

    Attributes
    ----------
    file : Path
    line : int
    number : int
        Rows are counted from 1 in each file.
    cells : mapping of role → cell
    split : str or None
        What the name of the file says.
    prefix : str
        Before keys that one file alone makes unique; empty if there is one file.
    """

    file: Path
    line: int
    number: int
    cells: Mapping[str, Any]
    split: str | None
    prefix: str

    @property
    def place(self) -> str:
        return f"{self.prefix and self.file.name + ':'}{self.line}"


def read_manifest(path: Path, kind: str = "image", columns: Columns | None = None) -> Dataset:
    """Return the items a manifest lists, in the order of their keys.

    What names files is relative to the manifest's folder. Beside the items there may be ``label``,
    ``split`` (train, val or test), ``group`` (items that must stay together) and ``id`` (the key;
    by default the path, or the number of the row).
    """
    return _dataset(path, [(path, None)], kind_named(kind), columns or Columns())


def list_manifest(path: Path, kind: str, columns: Columns) -> list[Item]:
    """Return the items a manifest lists, row by row; labels play no part."""
    taken = kind_named(kind)
    rows, _ = _rows(path, None, "", taken, columns, DESCRIBED)
    items = [_item(row, None, path.parent, taken) for row in rows]
    _refuse_duplicates(rows, items)
    return items


def split_manifests(folder: Path, kind: Kind) -> list[tuple[Path, str]]:
    """Return the manifests of a folder that are named as splits, with these; none without train.

    Raises
    ------
    UsageError
        If two are of one split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = SPLIT_NAMES.get(path.stem.lower())
        is_item = path.suffix.lower().lstrip(".") in kind.SUFFIXES
        if split is None or is_item or not is_table(path) or not path.is_file():
            continue
        if split in found:
            raise UsageError(
                f'Two manifests of "{folder}" are of one split: {found[split].name}, {path.name}.',
                f"Each is taken for {split} by its name.",
                "One of train.*, one of val.* or dev.*, and one of test.*.",
                f"Name one alone, or move the other:  {path}",
            )
        found[split] = path
    if "train" not in found:
        return []
    return sorted(
        ((path, split) for split, path in found.items()), key=lambda each: _order(each[1])
    )


def _order(split: str) -> int:
    return ("train", "val", "test").index(split)


def read_splits_folder(
    folder: Path, files: Sequence[tuple[Path, str]], kind: str, columns: Columns
) -> Dataset:
    """Return the items of a folder with a manifest for each split, as `split_manifests` finds them.

    Where there is a test, what is between it and training joins training, and that is said;
    unless it is to judge, or to stay apart.
    """
    columns_but_split = replace(columns, split="")
    if columns.split:
        raise UsageError(
            f'{option("split_column")} can\'t be followed for "{folder}".',
            f"Its splits are said by the names of its files: {_names(files)}.",
            "One manifest with a column of splits.",
            f"Leave out {option('split_column')}",
        )
    taken, told = _with_dev(files, columns.dev)
    found = _dataset(folder, taken, kind_named(kind), columns_but_split)
    return replace(found, warnings=(*told, *found.warnings))


def _with_dev(
    files: Sequence[tuple[Path, str]], dev: str
) -> tuple[list[tuple[Path, str | None]], list[str]]:
    """Return the files with what each is for, and what is to be said of that."""
    by_split = {split: path for path, split in files}
    if "val" not in by_split or dev == APART:
        return [(path, split) for path, split in files], []
    val, test = by_split["val"].name, by_split.get("test")
    if dev == "judge" or (test is None and not dev):
        idle = f"{test.name} is not read" if test else "there is no test.*"
        joining = "" if test else f"; to join it to training:  {option('dev', 'train')}"
        return [(p, s) for p, s in files if s != "test"], [f"{val} is scored: {idle}{joining}"]
    if test is None:  # then one is drawn
        return [(path, None) for path, _ in files], [f"{val} joins training; a test is drawn"]
    joined: list[tuple[Path, str | None]] = [
        (path, "train" if split == "val" else split) for path, split in files
    ]
    judging = f"to score {val} instead and leave {test.name} unread:  {option('dev', 'judge')}"
    return joined, [f"{val} joins training, and {test.name} is scored; {judging}"]


def _dataset(
    root: Path, files: Sequence[tuple[Path, str | None]], kind: Kind, columns: Columns
) -> Dataset:
    folder = root if root.is_dir() else root.parent
    rows: list[_Row] = []
    unread: dict[str, None] = {}
    for path, split in files:
        prefix = f"{path.stem}/" if len(files) > 1 else ""
        more, others = _rows(path, split, prefix, kind, columns)
        rows += more
        unread |= dict.fromkeys(others)
    texts, label_type, target = _labels(root, rows)
    items = [_item(row, text, folder, kind) for row, text in zip(rows, texts, strict=True)]
    _refuse_duplicates(rows, items)
    is_values = tell_kind(texts, layout=target).name == "values"
    return Dataset(
        str(root),
        tuple(sorted(items, key=lambda item: item.key)),
        tuple(sorted({text for text in texts if text is not None})),
        warnings=(
            *([f"columns not read: {', '.join(unread)}"] if unread else []),
            *(() if is_values else same_numbers(texts)),
            *_outside(items),
            *_merged_groups([row.cells.get("group") for row in rows]),
        ),
        label_type=label_type,
        kind=kind.NAME,
        target=target,
        unread=tuple(unread),
    )


def _rows(
    path: Path,
    split: str | None,
    prefix: str,
    kind: Kind,
    columns: Columns,
    about: Sequence[str] = ABOUT,
) -> tuple[list[_Row], list[str]]:
    """Return the rows of a file, and its columns that are not read."""
    table = open_table(path, columns.encoding)
    found = columns.roles(table.names, kind, str(path))
    roles = {
        role: name
        for role, name in found.items()
        if (role not in ABOUT or role in about) and not (role == "split" and split)
    }
    others = [name for name in table.names if name not in roles.values()]
    if about == ABOUT:
        _refuse_nearly(table, roles, others, kind)
    rows = [
        _Row(path, line, number, {r: cells.get(n) for r, n in roles.items()}, split, prefix)
        for number, (line, cells) in enumerate(table.rows(roles.values()), start=1)
    ]
    return rows, others


def _refuse_nearly(
    table: Table, roles: Mapping[str, str], others: Iterable[str], kind: Kind
) -> None:
    """Raise `DataError` for a column that is nearly one that would be read."""
    wanted = [role for role in (*kind.BESIDE, *ABOUT) if role not in roles]
    for name in others:
        meant = str(name).strip().casefold().removesuffix("s")
        if meant in wanted and meant != name:
            word = "split_column" if meant == "split" else meant
            raise DataError(
                f'The manifest "{table.path}" has a column "{name}", and none is read by that '
                "name.",
                f"Perhaps `{meant}` is meant; as it is, its values would not be used.",
                f"Columns: {', '.join(dict.fromkeys((*roles, *wanted)))}.",
                f"Name it with:  {option(word, name)}   or rename the column to:  {meant}",
            )


def _labels(root: Path, rows: Sequence[_Row]) -> tuple[list[str | None], str, str]:
    """Return what `read_labels` does; raise `DataError` for those that are nearly one."""
    given = [_label(row.cells.get("label")) for row in rows]
    texts, label_type, target = read_labels(str(root), given)
    places = [(text, row.place) for row, text in zip(rows, texts, strict=True) if text is not None]
    look = f"ls {root}" if root.is_dir() else f"less -N {root}"
    refuse_twins(str(root), places, "line", f"Look at them with:  {look}")
    return texts, label_type, target


def _item(row: _Row, label: str | None, folder: Path, kind: Kind) -> Item:
    payload, key = _payload(row, folder, kind)
    name = _text(row.cells.get("id"))
    return Item(
        key=unicodedata.normalize("NFC", row.prefix + name if name else key),
        payload=payload,
        label=label,
        group=_word(row.cells.get("group")),
        split=row.split or _split(row),
    )


def _payload(row: _Row, folder: Path, kind: Kind) -> tuple[Any, str]:
    """Return what a row's item is, and its key if it has no name."""
    key = f"{row.prefix}row-{row.number:06d}"
    role = next(role for role in kind.COLUMNS if role in row.cells)
    cell = row.cells[role]
    if role in FILES:
        return _file(row, role, cell, folder, key)
    beside = {each: row.cells[each] for each in kind.BESIDE if each in row.cells}
    payload = kind.payload_of({role: cell, **beside} if beside else cell)
    if payload is None:
        what = f"{a_kind(cell)} is no {kind.NOUN}"
        raise bad_line(row.file, row.line, what, f"An item of kind {kind.NAME} is {kind.ITEMS}")
    return payload, key


def _file(row: _Row, role: str, cell: Any, folder: Path, key: str) -> tuple[Any, str]:
    if isinstance(cell, Mapping):  # an image of a Hugging Face data set
        cell, name = cell.get("bytes") or cell.get("path"), _text(cell.get("path"))
        key = f"{row.prefix}{name}" if name else key
    if isinstance(cell, bytes):
        return cell, key
    text = _text(cell)
    if text is None:
        raise bad_line(row.file, row.line, f"the {role} is empty")
    location = Path(os.path.normpath(row.file.parent / text))
    return location, Path(os.path.relpath(location, folder)).as_posix()


def _text(cell: Any) -> str | None:
    return None if is_absent(cell) or cell == "" else str(cell)


def _word(cell: Any) -> str | None:
    """Return a cell without the spaces around it, None if it is blank."""
    return (_text(cell) or "").strip() or None


def _label(cell: Any) -> Any:
    """Return a label as it stands there, text in NFC as folders' names are; None if it is blank."""
    is_text = isinstance(cell, str)
    return (unicodedata.normalize("NFC", cell) if cell.strip() else None) if is_text else cell


def _split(row: _Row) -> str | None:
    name = _word(row.cells.get("split"))
    if name is None:
        return None
    if name.lower() not in SPLIT_NAMES:
        raise bad_line(row.file, row.line, f'split "{name}" is none of train, val, test')
    return SPLIT_NAMES[name.lower()]


def _merged_groups(cells: Sequence[Any]) -> Iterator[str]:
    """Yield what to say of groups that are a number in some lines and the same text in others."""
    types: dict[str, set[type]] = {}
    for cell in cells:
        name = _word(cell)
        if name is not None:
            types.setdefault(name, set()).add(type(cell))
    for name, each in types.items():
        if len(each) > 1 and str in each:
            yield f"group {name} is a number in some lines and text in others: taken as one group"


def _outside(items: Sequence[Item]) -> Iterator[str]:
    """Yield what to say of files that lie outside the manifest's folder, which none need to."""
    keys = [item.key for item in items if isinstance(item.payload, Path)]
    outside = [key for key in keys if key.startswith("../")]
    if outside:
        lie = "file lies" if len(outside) == 1 else "files lie"
        yield f"{len(outside)} {lie} outside the manifest's folder, such as {outside[0]}"


def _refuse_duplicates(rows: Sequence[_Row], items: Sequence[Item]) -> None:
    first: dict[str, _Row] = {}
    for row, item in zip(rows, items, strict=True):
        again = first.setdefault(item.key, row)
        if again is row:
            continue
        look = look_at(row.file, again.line, row.line)
        if again.file != row.file:
            look = f"{look_at(again.file, again.line)}; {look_at(row.file, row.line)}"
        raise DataError(
            f'"{item.key}" stands twice in the manifest "{again.file}".'
            if again.file == row.file
            else f'"{item.key}" stands in "{again.file.name}" and in "{row.file.name}".',
            f"It is in lines {again.place} and {row.place}.",
            "Each item may stand there once; an `id` column can tell copies apart.",
            f"Look at it with:  {look}",
        )


def _names(files: Sequence[tuple[Path, str]]) -> str:
    return ", ".join(path.name for path, _ in files)
