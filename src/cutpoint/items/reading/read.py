"""One way in: whatever the user calls data → `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from cutpoint.base.errors import DataError, UsageError
from cutpoint.items.reading.arrays import read_arrays, refuse_no_sequence, refuse_single_image
from cutpoint.items.reading.columns import Column, with_columns
from cutpoint.items.reading.folder import list_images, read_folder
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
) -> Dataset:
    """Return the items of a folder, a manifest, or a sequence.

    Parameters
    ----------
    data : path of a folder of class folders or of a manifest, or what `read_arrays` takes
        Or what iterates over items or over (item, label), as `unpack` takes apart.
    labels, groups, splits : sequences, or mappings of key to value, optional
        They go before what the data brings. Items on disk are matched by key alone: the order
        they are read in need not be the caller's.
    keys : sequence, optional
        Of items given in memory.
    follow_links : bool, default False
        Whether links inside a folder are followed.
    """
    path = Path(data) if isinstance(data, (str, os.PathLike)) else None
    if follow_links and (path is None or path.is_file()):
        raise _wrong_option("follow_links", "Links are followed inside a folder, and this is none.")
    if keys is not None and (path is not None or isinstance(data, Dataset)):
        raise _wrong_option("keys", "Items on disk, and those of a data set, have their keys.")
    if isinstance(data, Dataset):
        return with_columns(data, labels, groups, splits)
    if path is None:
        stream = unpack(data)
        labels = stream.labels if labels is None else labels
        read = read_arrays(stream.payloads, labels, groups, splits, keys)
        return _not_empty(read.with_warnings(*stream.warnings))
    if path.is_dir() or (path.is_file() and path.suffix in SUFFIXES):
        found = read_folder(path, follow_links) if path.is_dir() else read_manifest(path)
        return with_columns(_not_empty(found), labels, groups, splits, by_position=False)
    raise UsageError(
        f'The data in "{path}" was asked for.',
        "It is a file of another kind." if path.is_file() else "There is nothing of that name.",
        f"Data is a folder of class folders, or a manifest ({', '.join(SUFFIXES)}).",
        f"Look there with:  ls {path.parent}",
    )


def _wrong_option(name: str, why: str) -> UsageError:
    return UsageError(
        f"{name} was given, and can't be followed here.",
        why,
        "The call without it.",
        f"Leave out {name}",
    )


def read_items(data: Any, tell: Callable[[str], None] = lambda line: None) -> list[Item]:
    """Return items to describe, in the order given; labels play no part.

    Parameters
    ----------
    data : as in `read_dataset`, or one image file, or a sequence in which a file may be twice
    tell : callable
        Given a line for whatever in a folder is no item and might be missed.
    """
    if isinstance(data, Dataset):
        return list(data.items)
    if isinstance(data, (str, os.PathLike)):
        path = Path(data)
        if path.is_dir():
            found = list_images(path)
            for warning in found.warnings:
                tell(f"Warning: {warning}")
            return list(found.items)
        if path.suffix in SUFFIXES:
            return list(read_dataset(path).items)
        data = [path]
    if isinstance(data, (bytes, bytearray, Image.Image)):
        data = [data]
    data = unpack(data).payloads
    refuse_no_sequence(data)
    refuse_single_image(data)
    return [
        replace(read_arrays([payload]).items[0], key=_key(payload, place))
        for place, payload in enumerate(data)
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
            "They were to be added to the data.",
            "A folder of files in any depth, a manifest, or one file.",
            f"Look there with:  ls {Path(more).parent}",
        )
    found = {item.key: item for item in read_items(more, tell)}
    added = [
        replace(item, key=f"{UNLABELLED}/{key}", label=None, group=None, split=None)
        for key, item in found.items()
    ]
    return dataset.with_items((*dataset.items, *added))


def _key(payload: Any, place: int) -> str:
    is_path = isinstance(payload, (str, os.PathLike))
    return Path(payload).as_posix() if is_path else f"item-{place:06d}"


def _not_empty(dataset: Dataset) -> Dataset:
    if not dataset.items:
        raise DataError(
            f'The items of "{dataset.name}" were asked for.',
            f"There are none ({dataset.n_ignored} other files).",
            "A folder with one sub-folder of images for each class, or a manifest with rows.",
            f"Look there with:  ls {dataset.name}",
        )
    return dataset
