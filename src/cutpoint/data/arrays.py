"""Arrays, bytes and paths already in Python."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.data.folder import SPLIT_NAMES
from cutpoint.data.items import Dataset, Item, Payload
from cutpoint.errors import DataError, ModalityError, ShapeError


def read_arrays(
    payloads: Sequence[Any] | Any,
    labels: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    splits: Sequence[str | None] | None = None,
    keys: Sequence[str] | None = None,
) -> Dataset:
    """Return a data set of payloads given one by one.

    Parameters
    ----------
    payloads : sequence of paths, file bytes, PIL images or uint8 arrays (height, width[, 3])
        Or one uint8 array of shape (n_items, height, width[, 3]).
    labels, groups, splits, keys : sequences as long as `payloads`, optional
        Keys default to the path as given, else to the position: ``"item-000012"``.
    """
    refuse_single_image(payloads)
    prepared = [_payload(payload) for payload in payloads]
    n_items = len(prepared)
    label_texts, group_texts = _texts("labels", labels, n_items), _texts("groups", groups, n_items)
    split_texts, key_texts = _texts("splits", splits, n_items), _texts("keys", keys, n_items)
    names = _keys(prepared) if keys is None else [str(key) for key in key_texts]
    _refuse_duplicates(names)
    items = tuple(
        Item(name, payload, label, group, None if split is None else _split(split))
        for name, payload, label, group, split in zip(
            names, prepared, label_texts, group_texts, split_texts, strict=True
        )
    )
    classes = tuple(sorted({item.label for item in items if item.label is not None}))
    return Dataset("items in memory", items, classes)


def _texts(name: str, column: Sequence[Any] | None, n_items: int) -> list[str | None]:
    """Return a column as text by position; None and NaN mean that there is none."""
    if column is None:
        return [None] * n_items
    values = list(column)  # by position: a pandas Series would be looked up by its index
    if len(values) != n_items:
        raise ShapeError(
            f"{n_items} items with {name} were given.",
            f"There are {len(values)} {name}.",
            f"As many {name} as items, in the same order.",
            f"Compare:  len(items), len({name})",
        )
    return [None if value is None or value != value else str(value) for value in values]


def refuse_single_image(payloads: Any) -> None:
    """Raise `ShapeError` for one colour image where a stack is meant."""
    if isinstance(payloads, np.ndarray) and payloads.ndim == 3 and payloads.shape[2] in (3, 4):
        raise ShapeError(
            "A stack of images was asked for.",
            f"The array has shape {payloads.shape}, which is one colour image.",
            "A stack has shape (n_items, height, width[, 3]).",
            "Give one image as:  image[None]",
        )


def _payload(payload: Any) -> Payload:
    if isinstance(payload, (bytes, bytearray)):
        return bytes(payload)
    if isinstance(payload, (str, os.PathLike)):
        return Path(payload)
    if isinstance(payload, Image.Image):
        return payload
    if isinstance(payload, np.ndarray) or hasattr(payload, "__array_interface__"):
        return np.asarray(payload)
    raise ModalityError(
        "Images were asked for.",
        f"One of the items is a {type(payload).__name__}.",
        "An item is a path, the bytes of a file, a PIL image or a uint8 array.",
        'Type, for example:  cp.fit(["a.jpg", "b.jpg"], labels=["cat", "dog"])',
    )


def _keys(payloads: list[Payload]) -> list[str]:
    return [
        unicodedata.normalize("NFC", payload.as_posix())
        if isinstance(payload, Path)
        else f"item-{place:06d}"
        for place, payload in enumerate(payloads)
    ]


def _split(name: str) -> str:
    if name.lower() not in SPLIT_NAMES:
        raise DataError(
            f'An item in split "{name}" was given.',
            "No split has that name.",
            "Splits: train, val, test, or None to have them drawn.",
            'Type, for example:  splits=["train", "test"]',
        )
    return SPLIT_NAMES[name.lower()]


def _refuse_duplicates(keys: list[str]) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise DataError(
            f"{len(keys)} items were given.",
            f'The key "{twice[0]}" is there more than once.',
            "Keys name items, so each must be there once.",
            "Give other keys with:  keys=[...]",
        )
