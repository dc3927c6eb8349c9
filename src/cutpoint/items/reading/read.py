"""One way in: whatever the user calls data → `Dataset`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cutpoint.base.errors import DataError, ModalityError, UsageError
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.archives import is_archive, read_archive
from cutpoint.items.reading.arrays import read_arrays, sequence_of
from cutpoint.items.reading.columns import Column, with_columns
from cutpoint.items.reading.folder import list_items, read_folder
from cutpoint.items.reading.items import Dataset, Item
from cutpoint.items.reading.manifest import SUFFIXES, read_manifest
from cutpoint.items.reading.streams import unpack

UNLABELLED = "unlabelled"  # before the keys of items that are added without labels


def read_dataset(
    data: Any,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    keys: Sequence[str] | None = None,
    follow_links: bool = False,
    kind: str = "image",
) -> Dataset:
    """Return the items of a folder, a manifest, an archive of arrays, or a sequence.

    Parameters
    ----------
    data : path of a folder of class folders, a manifest or an archive, or what `read_arrays` takes
        Or what iterates over items or over (item, label), as `unpack` takes apart.
    labels, groups, splits : sequences, or mappings of key to value, optional
        They go before what the data brings. Items on disk are matched by key alone: the order
        they are read in need not be the caller's.
    keys : sequence, optional
        Names of items in memory.
    follow_links : bool, default False
        Whether links inside a folder are followed.
    kind : str
        The kind of item; the backbone says it. A `Dataset` must be of it.
    """
    path = Path(data) if isinstance(data, (str, os.PathLike)) else None
    if follow_links and (path is None or path.is_file()):
        raise _wrong_option("follow_links", "Links are followed inside a folder, and this is none.")
    if keys is not None and (path is not None or isinstance(data, Dataset)):
        raise _wrong_option("keys", "Items on disk, and those of a data set, have their keys.")
    if isinstance(data, Dataset):
        refuse_other_kind(data, kind)
        return with_columns(data, labels, groups, splits)
    if path is None:
        stream = unpack(data, kind)
        labels = stream.labels if labels is None else labels
        read = read_arrays(stream.payloads, labels, groups, splits, keys, kind)
        return _not_empty(read.with_warnings(*stream.warnings))
    if is_archive(path, kind):
        return with_columns(_not_empty(read_archive(path)), labels, groups, splits)
    if path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
        found = (
            read_folder(path, follow_links, kind) if path.is_dir() else read_manifest(path, kind)
        )
        return with_columns(_not_empty(found), labels, groups, splits, by_position=False)
    raise UsageError(
        f'"{path}" is a file of another kind.' if path.is_file() else f'There is no "{path}".',
        f"Nothing of kind {kind} was read.",
        f"Data is a folder of class folders, or a manifest ({', '.join(SUFFIXES)})"
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
        f"{name} can't be followed here.",
        why,
        "The call without it.",
        f"Leave out {name}",
    )


def read_items(
    data: Any, tell: Callable[[str], None] = lambda line: None, kind: str = "image"
) -> list[Item]:
    """Return items to describe, in the order given; labels play no part.

    Parameters
    ----------
    data : as in `read_dataset`, or one file, or a sequence in which a file may be twice
    tell : callable
        Given a line for whatever in a folder is no item and might be missed.
    kind : str
        The kind of item; the backbone says it.
    """
    if isinstance(data, Dataset):
        refuse_other_kind(data, kind)
        return list(data.items)
    if isinstance(data, (str, os.PathLike)):
        path = Path(data)
        if path.is_dir():
            found = list_items(path, kind)
            for warning in found.warnings:
                tell(f"Warning: {warning}")
            return list(found.items)
        is_item = path.suffix.lstrip(".") in kind_named(kind).SUFFIXES
        if (path.suffix in SUFFIXES and not is_item) or is_archive(path, kind):
            return list(read_dataset(path, kind=kind).items)
        data = [path]
    is_one = isinstance(data, bytes | bytearray | Mapping) or not isinstance(data, Iterable)
    if is_one and (isinstance(data, bytes) or kind_named(kind).payload_of(data) is not None):
        data = [data]
    data = unpack(data, kind).payloads
    return [
        _keyed(read_arrays([payload], kind=kind).items[0], place)
        for place, payload in enumerate(sequence_of(data, kind))
    ]


def with_unlabelled(
    dataset: Dataset, more: Any, tell: Callable[[str], None] = lambda line: None
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
    found = {item.key: item for item in read_items(more, tell, dataset.kind)}
    added = [
        replace(item, key=f"{UNLABELLED}/{key}", label=None, group=None, split=None)
        for key, item in found.items()
    ]
    return dataset.with_items((*dataset.items, *added))


def _keyed(item: Item, place: int) -> Item:
    is_path = isinstance(item.payload, Path)
    return replace(item, key=item.payload.as_posix() if is_path else f"item-{place:06d}")


def _not_empty(dataset: Dataset) -> Dataset:
    if not dataset.items:
        is_path = Path(dataset.name).exists()
        raise DataError(
            f'There are no items in "{dataset.name}".',
            f"It holds {dataset.n_ignored} other files." if is_path else "It is empty.",
            f"A folder with one sub-folder of {kind_named(dataset.kind).NOUN}s for each class, or "
            "a manifest with rows.",
            f"Look there with:  ls {shlex.quote(dataset.name)}"
            if is_path
            else "Look at:  len(list(data))",
        )
    return dataset
