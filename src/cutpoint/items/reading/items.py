"""One item, and the data set they make up."""

from __future__ import annotations

import hashlib
import stat
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cutpoint.base.errors import BadItem
from cutpoint.items.kinds import kind_named

Payload = Any
"""Path or bytes of a file; or what the kind of item takes in memory, such as an array."""


@dataclass(frozen=True)
class Item:
    """One thing to describe.

    Attributes
    ----------
    key : str
        POSIX relative path in NFC, or a given id. Unique in a data set; names the item everywhere.
    payload : path, bytes of a file, or an object in memory that its kind takes
    label : str or None
    group : str or None
        Items of one group (a patient, a scene) never straddle splits.
    split : {"train", "val", "test"} or None
    """

    key: str
    payload: Payload
    label: str | None = None
    group: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Items in key order, with what was noticed while listing them.

    Attributes
    ----------
    name : str
        Where the items came from, as the user gave it.
    items : tuple of Item
    classes : tuple of str
        Sorted; all labels, those without items too.
    quarantined : tuple of (key, reason)
    warnings : tuple of str
    n_ignored : int
        Files that are no items: ``Thumbs.db``, ``.DS_Store``, links, other kinds of file.
    label_type : {"str", "int", "bool", "float"}
        What labels came as. Items and `classes` hold them as text; they are given back so.
    kind : str
        The kind of item, as the backbone that they are for says it.
    target : {"", "classes", "labels"}
        What the data itself says that labels are: folders classes, sequences several; empty: not.
    unread : tuple of str
        Columns of a manifest that nobody named, for messages.
    """

    name: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    quarantined: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    n_ignored: int = 0
    label_type: str = "str"
    kind: str = "image"
    target: str = ""
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def with_items(self, items: tuple[Item, ...]) -> Dataset:
        return replace(self, items=items)

    def with_warnings(self, *warnings: str) -> Dataset:
        return replace(self, warnings=self.warnings + warnings)

    def only(self, split: str) -> Dataset:
        """Return the items of one split."""
        return self.with_items(tuple(item for item in self.items if item.split == split))

    def counts(self) -> dict[str, int]:
        """Items per split, in the order train, val, test; then those that are in none."""
        has_labels = any(item.label is not None for item in self.items)
        counts = Counter(
            item.split or ("unlabelled" if has_labels and item.label is None else "unsplit")
            for item in self.items
        )
        order = ("train", "val", "test", "unsplit", "unlabelled")
        return {name: counts[name] for name in order if counts[name]}


def posix_key(path: Path, root: Path) -> str:
    """Return the key of a file: its POSIX path relative to `root`, NFC."""
    return unicodedata.normalize("NFC", path.relative_to(root).as_posix())


def read_payload(item: Item) -> bytes | Any:
    """Return the bytes of the item's file, or its array."""
    if not isinstance(item.payload, Path):
        return item.payload
    try:
        mode = item.payload.stat().st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
            raise OSError("it is no file")  # it might never end
        return item.payload.read_bytes()
    except FileNotFoundError as error:
        raise BadItem("file not found") from error
    except (OSError, ValueError) as error:
        raise BadItem(f"can't be read: {error.__class__.__name__} {error}") from error


def digest_payload(payload: bytes | Any, kind: str = "image") -> str:
    """Return the sha256 of a payload; equal bytes are one item to the store."""
    if isinstance(payload, bytes):
        return hashlib.sha256(payload).hexdigest()
    return kind_named(kind).digest(payload)
