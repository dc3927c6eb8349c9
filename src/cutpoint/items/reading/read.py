"""One way in: whatever the user calls data → `Dataset`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import as_path
from cutpoint.base.contracts import Kind
from cutpoint.base.errors import DataError, ModalityError, UsageError
from cutpoint.base.text import shortened
from cutpoint.base.tongue import either, option
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.archives import is_archive, read_archive
from cutpoint.items.reading.arrays import read_arrays, sequence_of
from cutpoint.items.reading.columns import Column, with_columns
from cutpoint.items.reading.folder import class_folders_with, list_items, read_folder
from cutpoint.items.reading.items import Dataset, Item
from cutpoint.items.reading.manifest import (
    list_manifest,
    read_manifest,
    read_splits_folder,
    split_manifests,
)
from cutpoint.items.reading.named import APART, ITEMS, Columns
from cutpoint.items.reading.streams import unpack
from cutpoint.items.reading.tables import SUFFIXES, bad_line, is_table, read_text

UNLABELLED = "unlabelled"  # before the keys of items that are added without labels


def read_dataset(
    data: Any,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    keys: Sequence[str] | None = None,
    follow_links: bool = False,
    kind: str = "image",
    columns: Columns | None = None,
) -> Dataset:
    """Return the items of a folder, a manifest, an archive of arrays, or a sequence.

    Parameters
    ----------
    data : path of a folder of class folders, a manifest or an archive, or what `read_arrays` takes
        A folder may hold a manifest for each split: ``train.*`` and others. Or what iterates over
        items or over (item, label), as `unpack` takes apart.
    labels, groups, splits : sequences, or mappings of key to value, optional
        They go before what the data brings. Items on disk are matched by key alone: the order
        they are read in need not be the caller's. `splits` may be the path of a ``splits.csv``
        that a fit has written.
    keys : sequence, optional
        Names of items in memory.
    follow_links : bool, default False
        Whether links inside a folder are followed.
    kind : str
        The kind of item; the backbone says it. A `Dataset` must be of it.
    columns : Columns, optional
        How a manifest is read.
    """
    columns = columns or Columns()
    path = as_path("data", data) if isinstance(data, (str, os.PathLike)) else None
    if follow_links and (path is None or path.is_file()):
        raise _wrong_option("follow_links", "Links are followed inside a folder, and this is none.")
    if keys is not None and (path is not None or isinstance(data, Dataset)):
        raise _wrong_option("keys", "Items on disk, and those of a data set, have their keys.")
    if isinstance(data, Dataset):
        refuse_other_kind(data, kind)
        columns.refuse("They say how a manifest is read, and the data is read already.")
        return with_columns(data, labels, groups, splits)
    if path is None:
        columns.refuse("Items in memory have no such columns.", (*ITEMS, "label"))
        stream = unpack(data, kind, columns, labels is not None)
        labels = stream.labels if labels is None else labels
        read = read_arrays(stream.payloads, labels, groups, splits, keys, kind)
        return _not_empty(read.with_warnings(*stream.warnings))
    if kind == "array" and path.suffix == ".npz" and path.is_file():
        columns.refuse("An archive of arrays has arrays of names of its own.")
        return with_columns(_not_empty(read_archive(path)), labels, groups, splits)
    found = _read_path(path, follow_links, kind, columns)
    return with_columns(_not_empty(found), labels, groups, splits, by_position=False)


def _read_path(path: Path, follow_links: bool, kind: str, columns: Columns) -> Dataset:
    if path.is_dir():
        files = manifests_in(path, kind)
        if not files:
            columns.refuse(f'"{path}" is a folder of class folders.')
            return read_folder(path, follow_links, kind)
        if follow_links:
            raise _wrong_option("follow_links", f'"{path}" is read by its manifests.')
        return read_splits_folder(path, files, kind, columns)
    if path.is_file() and is_table(path):
        if columns.dev not in ("", APART):
            raise _wrong_option("dev", "It is for a folder with train.*, dev.* and test.*.")
        return read_manifest(path, kind, columns)
    raise no_such_data(path, kind)


def manifests_in(folder: Path, kind: str) -> list[tuple[Path, str]]:
    """Return the manifests of a folder that is a data set with splits, each with its split.

    Raises
    ------
    UsageError
        If the folder is a data set of class folders as well.
    """
    files = split_manifests(folder, kind_named(kind))
    classes = class_folders_with(folder, kind) if files else []
    if len(classes) > 1:
        names = ", ".join(path.name for path, _ in files)
        raise UsageError(
            f'"{folder}" is two data sets: of manifests and of class folders.',
            f"It holds {names}, and items in {', '.join(classes[:3])}.",
            "One of the two, in a folder of its own.",
            f"Name a manifest alone:  {files[0][0]}",
        )
    return files


def no_such_data(path: Path, kind: str) -> UsageError:
    """Return the error of a path that is no data, or is not there."""
    return UsageError(
        f'"{path}" is a file of another kind.' if path.is_file() else f'There is no "{path}".',
        f"Nothing of kind {kind} was read.",
        f"Data is a folder of class folders, a manifest ({', '.join(SUFFIXES)}), or a folder with "
        "train.* and maybe val.* and test.* of these"
        + ("; or an .npz with arrays X and y." if kind == "array" else "."),
        f"Look there with:  ls {path.parent}",
    )


def refuse_other_kind(data: Dataset, kind: str) -> None:
    """Raise `ModalityError` unless the items of `data` are of the kind a backbone reads."""
    if data.kind != kind:
        raise ModalityError(
            f'The items of "{data.name}" are of kind {data.kind}.',
            f"The backbone reads items of kind {kind}.",
            "A backbone of that kind, or other data.",
            f'Type, for example:  read_dataset(data, kind="{kind}")',
        )


def _wrong_option(name: str, why: str) -> UsageError:
    return UsageError(
        f"{option(name)} can't be followed here.",
        why,
        "The call without it.",
        f"Leave out {option(name)}",
    )


def read_items(
    data: Any,
    tell: Callable[[str], None] = lambda line: None,
    kind: str = "image",
    columns: Columns | None = None,
) -> list[Item]:
    """Return items to describe, in the order given; labels play no part.

    Parameters
    ----------
    data : as in `read_dataset`, or one file, or a sequence in which a file may be twice
    tell : callable
        Given a line for whatever in a folder is no item and might be missed.
    kind : str
        The kind of item; the backbone says it.
    columns : Columns, optional
        How a manifest is read.
    """
    found = _described(data, tell, kind, columns or Columns())
    if not found and isinstance(data, (str, os.PathLike)):
        raise no_items(str(data), kind)
    return found


def _described(data: Any, tell: Callable[[str], None], kind: str, columns: Columns) -> list[Item]:
    taken = kind_named(kind)
    if isinstance(data, Dataset):
        columns.refuse("They say how a manifest is read, and the data is read already.")
        refuse_other_kind(data, kind)
        return list(data.items)
    if isinstance(data, (str, os.PathLike)):
        path = as_path("data", data)
        suffix = path.suffix.lower().lstrip(".")
        if is_table(path) and (columns.said() or suffix not in taken.SUFFIXES):
            return list_manifest(path, kind, columns)
        columns.refuse(f'"{path}" is no manifest.')
        if path.is_dir():
            found = list_items(path, kind)
            for warning in found.warnings:
                tell(f"Warning: {warning}")
            return list(found.items)
        if is_archive(path, kind):
            return list(read_dataset(path, kind=kind).items)
        if suffix in taken.LINES and path.is_file():
            return _lines(path, taken, tell)
        if not path.exists() and taken.payload_of(str(data)) is not None:
            raise _lone_text(str(data), taken)
        data = [path]
    else:
        columns.refuse("They say how a manifest is read, and the items are in memory.", ITEMS)
    is_one = isinstance(data, bytes | bytearray | Mapping) or not isinstance(data, Iterable)
    if is_one and (isinstance(data, bytes) or taken.payload_of(data) is not None):
        data = [data]
    data = unpack(data, kind, columns, is_described=True).payloads
    each = (read_arrays([payload], kind=kind).items[0] for payload in sequence_of(data, kind))
    return [replace(item, key=_key(item.payload, place)) for place, item in enumerate(each)]


def _lines(path: Path, kind: Kind, tell: Callable[[str], None]) -> list[Item]:
    """Return the items of a file that has one a line; an empty line is one, too, and a bad one."""
    text = read_text(path)
    lines = (
        [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    )
    tell(
        f"{path.name} is read as {len(lines)} items, one per line; a folder, or several files, as "
        "one item per file"
    )
    found = [(f"line-{n:06d}", kind.payload_of(line)) for n, line in enumerate(lines, start=1)]
    lost = next((key for key, payload in found if payload is None), None)
    if lost is not None:
        raise bad_line(path, int(lost.removeprefix("line-")), f"no {kind.NOUN}")
    return [Item(key, payload) for key, payload in found]


def _lone_text(data: str, kind: Kind) -> UsageError:
    shown = shortened(data, 60)
    return UsageError(
        f'There is no file or folder "{shown}".',
        f"A text by itself is the path of data; items of kind {kind.NAME} are in a list.",
        f"A list in which each item is {kind.ITEMS}; or a folder, a manifest or a file.",
        either("Type:  cp.predict(model, [text])", 'Type:  cutpoint predict MODEL --text "…"'),
    )


def with_unlabelled(
    dataset: Dataset,
    more: Any,
    tell: Callable[[str], None] = lambda line: None,
    columns: Columns | None = None,
) -> Dataset:
    """Return `dataset` with items that have no label, nor a split, under keys of their own.

    Parameters
    ----------
    more : as `data` in `read_items`, or None
        Its labels, if it has any, are passed over.
    """
    if more is None:
        return dataset
    if isinstance(more, (str, os.PathLike)) and not Path(more).exists():
        raise UsageError(
            f'There are no unlabelled items in "{more}": there is nothing of that name.',
            "So nothing can be added to the data.",
            "A folder of files in any depth, a manifest, or one file.",
            f"Look there with:  ls {Path(more).parent}",
        )
    is_table_too = isinstance(more, (str, os.PathLike)) and is_table(Path(more))
    items = read_items(more, tell, dataset.kind, of_items(columns) if is_table_too else None)
    found = {item.key: item for item in items}
    added = [
        replace(item, key=f"{UNLABELLED}/{key}", label=None, group=None, split=None)
        for key, item in found.items()
    ]
    return dataset.with_items((*dataset.items, *added))


def of_items(columns: Columns | None) -> Columns | None:
    """Return how the items of a manifest are read, without what is beside them."""
    return columns and replace(columns, label="", group="", split="", dev="")


def _key(payload: Any, place: int) -> str:
    is_path = isinstance(payload, os.PathLike)
    return Path(payload).as_posix() if is_path else f"item-{place:06d}"


def _not_empty(dataset: Dataset) -> Dataset:
    if not dataset.items:
        raise no_items(dataset.name, dataset.kind, dataset.n_ignored)
    return dataset


def no_items(name: str, kind: str, n_ignored: int = 0) -> DataError:
    """Return the error of data that holds no item of its kind."""
    path = Path(name)
    n_others = n_ignored or (len(list(path.iterdir())) if path.is_dir() else 0)
    other = "1 other entry" if n_others == 1 else f"{n_others} other entries"
    return DataError(
        f'There are no items in "{name}".',
        f"It holds {other}." if n_others else "It is empty.",
        f"A folder with one sub-folder of {kind_named(kind).NOUN}s for each class, or a manifest "
        "with rows.",
        f"Look there with:  ls {shlex.quote(name)}"
        if path.exists()
        else "Look at:  len(list(data))",
    )
