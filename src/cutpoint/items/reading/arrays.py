"""Items already in Python: paths, bytes, arrays and what else their kind takes."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cutpoint.base.contracts import Kind
from cutpoint.base.errors import DataError, ModalityError
from cutpoint.base.text import a_kind
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.columns import Column, with_columns
from cutpoint.items.reading.items import Dataset, Item, Payload


def read_arrays(
    payloads: Sequence[Any] | Any,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    keys: Sequence[str] | None = None,
    kind: str = "image",
) -> Dataset:
    """Return a data set of payloads given one by one.

    Parameters
    ----------
    payloads : sequence of paths, file bytes, or what the kind takes, such as arrays
        Or one array of shape (n_items, …), or of inputs by name a mapping of such.
    labels, groups, splits : sequences as long as `payloads`, or mappings of keys, optional
    keys : sequence, optional
        Keys default to the path as given, else to the position: ``"item-000012"``.
    kind : str
        The kind of item, as the backbone says it.
    """
    prepared = [_payload(payload, kind_named(kind)) for payload in sequence_of(payloads, kind)]
    names = _keys(prepared) if keys is None else [str(key) for key in keys]
    _refuse_duplicates(names)
    items = tuple(Item(name, payload) for name, payload in zip(names, prepared, strict=True))
    found = Dataset("items in memory", items, (), kind=kind)
    return with_columns(found, labels, groups, splits)


def sequence_of(payloads: Any, kind: str) -> Iterable[Any]:
    """Return the items one by one; raise an error for what is one of them, a table or nothing."""
    taken = kind_named(kind)
    is_one = isinstance(payloads, bytes | bytearray) or _is_lone(payloads, taken)
    is_table = isinstance(payloads, Mapping) or hasattr(payloads, "columns")
    if is_one or is_table or not isinstance(payloads, Iterable):
        raise _no_sequence(payloads, taken, is_one, is_table)
    taken.refuse_one(payloads)
    return payloads


def _is_lone(payloads: Any, kind: Kind) -> bool:
    """Say whether an object that can't be gone through is an item by itself, such as a picture."""
    is_many = isinstance(payloads, Iterable) or payloads is None
    return not is_many and kind.payload_of(payloads) is not None


def _no_sequence(payloads: Any, kind: Kind, is_one: bool, is_table: bool) -> ModalityError:
    what = "nothing" if payloads is None else a_kind(payloads)
    what = f"one {kind.NOUN}, {what}" if is_one else what
    told = "Its columns are no items. " if is_table else ""
    return ModalityError(
        f"The data is {what}, which is no sequence of items.",
        f"{told}Nothing was read.",
        f"A folder, a manifest, or a sequence in which each item is {kind.ITEMS}.",
        _example(kind),
    )


def _example(kind: Kind) -> str:
    one, two = (f'"{name}.{max(kind.SUFFIXES, default="")}"' for name in "ab")
    if "jpg" in kind.SUFFIXES:
        one, two = '"a.jpg"', '"b.jpg"'
    elif kind.payload_of("a good one") is not None:  # words, not a path
        one, two = '"a good one"', '"a bad one"'
    return f'Type, for example:  cp.fit([{one}, {two}], labels=["cat", "dog"])'


def _payload(payload: Any, kind: Kind) -> Payload:
    if isinstance(payload, (bytes, bytearray)):
        return bytes(payload)
    # The kind is asked first: a str is a path only where it is no item itself.
    found = kind.payload_of(str(payload) if isinstance(payload, str) else payload)
    if found is None and isinstance(payload, (str, os.PathLike)):
        return Path(payload)
    if found is None:
        raise ModalityError(
            f"One of the items is {a_kind(payload)}.",
            f"The backbone reads items of kind {kind.NAME}.",
            f"An item is {kind.ITEMS}.",
            _example(kind),
        )
    return found


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
            f'The key "{twice[0]}" is there more than once.',
            f"There are {len(keys)} keys, {len(set(keys))} different ones.",
            "Keys name items, so each is there once.",
            "Give other keys with:  keys=[...]",
        )
