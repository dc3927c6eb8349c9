"""Arrays, bytes and paths already in Python."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.base.errors import DataError, ModalityError, ShapeError
from cutpoint.items.reading.columns import Column, with_columns
from cutpoint.items.reading.items import Dataset, Item, Payload


def read_arrays(
    payloads: Sequence[Any] | Any,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    keys: Sequence[str] | None = None,
) -> Dataset:
    """Return a data set of payloads given one by one.

    Parameters
    ----------
    payloads : sequence of paths, file bytes, PIL images or uint8 arrays (height, width[, 3])
        Or one uint8 array of shape (n_items, height, width[, 3]).
    labels, groups, splits : sequences as long as `payloads`, or mappings of keys, optional
    keys : sequence, optional
        Keys default to the path as given, else to the position: ``"item-000012"``.
    """
    refuse_no_sequence(payloads)
    refuse_single_image(payloads)
    prepared = [_payload(payload) for payload in payloads]
    names = _keys(prepared) if keys is None else [str(key) for key in keys]
    _refuse_duplicates(names)
    items = tuple(Item(name, payload) for name, payload in zip(names, prepared, strict=True))
    return with_columns(Dataset("items in memory", items, ()), labels, groups, splits)


def refuse_no_sequence(payloads: Any) -> None:
    """Raise `ModalityError` for what is no sequence of items: one of them, a table, nothing."""
    is_one = isinstance(payloads, bytes | bytearray | Image.Image)
    is_table = isinstance(payloads, Mapping) or hasattr(payloads, "columns")
    if not (is_one or is_table) and isinstance(payloads, Iterable):
        return
    kind = f"a {type(payloads).__name__}"
    what = f"one image, {kind}" if is_one else ("nothing" if payloads is None else kind)
    told = "" if not is_table else "Its columns are no items. "
    raise ModalityError(
        f"A sequence of items is wanted, and the data is {what}.",
        f"{told}Nothing was read.",
        "A folder, a manifest, or a list of paths, file bytes, PIL images or uint8 arrays.",
        'Type, for example:  cp.fit(["a.jpg", "b.jpg"], labels=["cat", "dog"])',
    )


def refuse_single_image(payloads: Any) -> None:
    """Raise `ShapeError` for one image where a stack is meant."""
    if not isinstance(payloads, np.ndarray):
        return
    if payloads.ndim < 3 and payloads.dtype == np.uint8 and payloads.size:
        raise ShapeError(
            f"The array has shape {payloads.shape}, and a stack of images is wanted.",
            "It is one grey image, or none.",
            "A stack has shape (n_items, height, width[, 3]).",
            "Give one image as:  image[None]",
        )
    if payloads.ndim == 3 and payloads.shape[2] in (3, 4):
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


def _refuse_duplicates(keys: list[str]) -> None:
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise DataError(
            f"{len(keys)} items were given.",
            f'The key "{twice[0]}" is there more than once.',
            "Keys name items, so each must be there once.",
            "Give other keys with:  keys=[...]",
        )
