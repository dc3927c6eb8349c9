"""Arrays, bytes and paths already in Python."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    prepared = [_payload(payload) for payload in payloads]
    columns = {"labels": labels, "groups": groups, "splits": splits, "keys": keys}
    for name, column in columns.items():
        if column is not None and len(column) != len(prepared):
            raise ShapeError(
                f"{len(prepared)} items with {name} were given.",
                f"There are {len(column)} {name}.",
                f"As many {name} as items, in the same order.",
                f"Compare:  len(items), len({name})",
            )
    names = _keys(prepared) if keys is None else [str(key) for key in keys]
    _refuse_duplicates(names)
    items = tuple(
        Item(
            key=name,
            payload=payload,
            label=None if labels is None else str(labels[place]),
            group=None if groups is None else str(groups[place]),
            split=None if splits is None else _split(splits[place]),
        )
        for place, (name, payload) in enumerate(zip(names, prepared, strict=True))
    )
    classes = tuple(sorted({item.label for item in items if item.label is not None}))
    return Dataset("items in memory", items, classes)


def _payload(payload: Any) -> Payload:
    if isinstance(payload, (bytes, bytearray)):
        return bytes(payload)
    if isinstance(payload, (str, os.PathLike)):
        return Path(payload)
    if hasattr(payload, "__array_interface__") or isinstance(payload, np.ndarray):
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


def _split(name: str | None) -> str | None:
    if name is None:
        return None
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
