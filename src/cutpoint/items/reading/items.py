"""One item, and the data set they make up."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.base.errors import BadItem

Payload = Path | bytes | np.ndarray | Image.Image


@dataclass(frozen=True)
class Item:
    """One thing to describe.

    Attributes
    ----------
    key : str
        POSIX relative path in NFC, or a given id. Unique in a data set; names the item everywhere.
    payload : path, bytes of a file, uint8 array or PIL image
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
        What labels came as. Items and `classes` hold them as text; what is told is given back so.
    kind : {"", "classes", "labels"}
        What the data itself says that labels are: folders classes, sequences several; empty: not.
    """

    name: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    quarantined: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    n_ignored: int = 0
    label_type: str = "str"
    kind: str = ""

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
        return item.payload.read_bytes()
    except FileNotFoundError as error:
        raise BadItem("file not found") from error
    except (OSError, ValueError) as error:
        raise BadItem(f"can't be read: {error.__class__.__name__} {error}") from error


def digest_payload(payload: bytes | Any) -> str:
    """Return the sha256 of a payload; equal bytes are one item to the store."""
    digest = hashlib.sha256()
    if isinstance(payload, np.ndarray):
        digest.update(f"{payload.dtype.str}{payload.shape}".encode())
        payload = np.ascontiguousarray(payload).tobytes()
    elif isinstance(payload, Image.Image):
        digest.update(_pil_facts(payload).encode())
        payload = payload.tobytes()
    digest.update(payload)
    return digest.hexdigest()


def _pil_facts(image: Image.Image) -> str:
    """Return what decides, besides its raw bytes, how a PIL image looks."""
    try:
        image.load()
    except Exception as error:  # opened lazily from a broken file
        raise BadItem(f"can't be decoded whole: {error}") from error
    palette = image.getpalette() if image.mode in ("P", "PA") else None
    turned, clear = image.getexif().get(0x0112), image.info.get("transparency")
    return f"{image.mode}{image.size}{palette}{turned}{clear}"
