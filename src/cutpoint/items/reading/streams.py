"""What iterates over items, or items with their labels: torch, tf.data, Hugging Face, generators.

Everything is read once, in order, whatever its length. No framework is imported: tensors are known
by the module of their type, loaders by what they have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.base.contracts import Kind
from cutpoint.base.errors import DataError, ModalityError, ShapeError
from cutpoint.base.text import a_kind
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading.named import ITEMS, Columns, absent

ITEM_COLUMNS = ("image", "img", "path", "file", "array")
LABEL_COLUMNS = ("label", "labels", "target")
_TENSORS = ("torch", "torchvision", "tensorflow", "jax", "jaxlib")
_NO_ROWS = "The items in memory are no rows with columns."
_NO_LABEL = object()  # None is a label that is missing


@dataclass(frozen=True)
class Unpacked:
    """Items, and what came with them.

    Attributes
    ----------
    payloads : sequence, or what the data was where it is no stream
    labels : list or None
        One an item; None if the data brings none.
    warnings : tuple of str
    """

    payloads: Any
    labels: list[Any] | None = None
    warnings: tuple[str, ...] = ()


def unpack(
    data: Any,
    kind: str = "image",
    columns: Columns | None = None,
    has_labels: bool = False,
    is_described: bool = False,
) -> Unpacked:
    """Return the items and labels of whatever holds them.

    Parameters
    ----------
    data : iterable of items, of (item, label) or of mappings; or (X, y); or a stack
        Batches of a torch ``DataLoader`` or ``tf.data.Dataset`` are taken apart. A torch
        ``Dataset`` may have a length and places alone.
    kind : str
        The kind of item. Where items are arrays, a mapping without a column of labels is one
        item, its inputs by name.
    columns : Columns, optional
        What the columns of mappings are called.
    has_labels, is_described : bool
        Whether labels are elsewhere, or nobody asks for them: then two things that the kind takes
        for one item, as two texts, are an item.

    Raises
    ------
    ModalityError
        If an element is neither an item nor a pair, or a mapping without a column of items; or
        if two lists of two may be X and y as well as two pairs.
    DataError
        If the data never ends, or only some items have labels.
    """
    columns = columns or Columns()
    if is_one(data) or not _is_stream(data):
        columns.refuse(_NO_ROWS)
        return Unpacked(data)
    if _is_tensor(data):
        columns.refuse(_NO_ROWS)
        return Unpacked(_plain(data))
    reader = _Reader(kind_named(kind), columns, has_labels or is_described)
    if (pair := _columns(data, reader)) is not None:
        columns.refuse(_NO_ROWS)
        return Unpacked(pair[0], [_label(each) for each in pair[1]])
    if isinstance(data, np.ndarray) or hasattr(data, "__array_interface__"):
        columns.refuse(_NO_ROWS)
        return Unpacked(data)
    _refuse_endless(data)
    is_batched, unread = _is_loader(data), dict[str, None]()
    elements = (reader.paired(each, unread) for each in _elements(data))
    found = list(chain.from_iterable(reader.taken(each, is_batched) for each in elements))
    return Unpacked(
        [payload for payload, _ in found], _labels(found), (*_notes(data), *_unread(unread))
    )


@dataclass(frozen=True)
class _Reader:
    """How elements are taken apart.

    Attributes
    ----------
    kind : Kind
    columns : Columns
    prefers_items : bool
        Whether what may be an item, or an item and its label, is an item.
    """

    kind: Kind
    columns: Columns
    prefers_items: bool

    def is_item(self, value: Any) -> bool:
        """Say whether a value is an item; a text that the kind does not take, if it names one."""
        if isinstance(value, str) and self.kind.payload_of(value) is None:
            return Path(value).suffix.lower().lstrip(".") in {*self.kind.SUFFIXES} - {""}
        is_file = isinstance(value, os.PathLike | bytes | bytearray)
        return is_file or self.kind.payload_of(value) is not None

    def paired(self, element: Any, unread: dict[str, None]) -> Any:
        """Return a row with named columns as a pair; anything else as it is."""
        if not isinstance(element, Mapping):
            self.columns.refuse(_NO_ROWS)
            return element
        has_label = any(name in element for name in self._labels())
        is_item = not has_label and not self.columns.said()
        if is_item and self.kind.payload_of(element) is not None:
            return element
        return self._row(element, unread)

    def taken(self, element: Any, is_batched: bool) -> Iterator[tuple[Any, Any]]:
        """Yield (item, label) of one element: an item, a pair, or a batch of either."""
        is_pair = isinstance(element, tuple | list)
        if is_pair and is_batched and is_one(element[0]):
            is_pair = False  # a list of items, as a loader's own `collate_fn` makes
        elif is_pair and self.prefers_items and self.kind.payload_of(element) is not None:
            is_pair = False  # two texts are an item
        elif is_pair and len(element) == 1:  # a `TensorDataset` of items alone
            element, is_pair = element[0], False
        if is_pair and len(element) != 2:
            raise _no_pair(element)
        item, label = element if is_pair else (element, _NO_LABEL)
        item = _plain(item)
        if is_batched or _is_batch(item, _plain(label)):
            yield from _apart(item, label)
        else:
            yield item, label if label is _NO_LABEL else _label(label)

    def _labels(self) -> tuple[str, ...]:
        return (self.columns.label,) if self.columns.label else LABEL_COLUMNS

    def _row(self, row: Mapping[str, Any], unread: dict[str, None]) -> tuple[Any, Any]:
        """Return item and label of a row with named columns; note columns that are not read."""
        item, beside = self._item_columns(row)
        label = next((name for name in self._labels() if name in row), None)
        unread |= dict.fromkeys(str(n) for n in row if n not in (item, label, *beside.values()))
        found = row[item]
        if isinstance(found, Mapping):  # a Hugging Face image that is not decoded
            found = found.get("bytes") or found.get("path")
        if beside:
            found = {self.kind.COLUMNS[0]: found} | {r: row[n] for r, n in beside.items()}
        return (found, _NO_LABEL if label is None else row[label])

    def _item_columns(self, row: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Return the column of an item, and by role those that belong to it, too."""
        words = (*ITEMS, "label")
        said = {word: name for word in words if (name := getattr(self.columns, word))}
        for word, name in said.items():
            if name not in row:
                raise absent(word, name, [*map(str, row)], "a row")
        own = [role for role in self.kind.COLUMNS if role not in ITEM_COLUMNS]
        names = [said[role] for role in self.kind.COLUMNS if role in said]
        names = names or [name for name in (*own, *ITEM_COLUMNS) if name in row]
        if not names:
            raise _no_items(row, [*own, *ITEM_COLUMNS])
        beside = {role: said.get(role, role) for role in self.kind.BESIDE}
        return names[0], {role: name for role, name in beside.items() if name in row}


def is_one(data: Any) -> bool:
    """Say whether data is one item, a table or nothing: refused or read elsewhere, as it is."""
    is_item = isinstance(data, str | os.PathLike | bytes | bytearray | Image.Image)
    return is_item or data is None or isinstance(data, Mapping) or hasattr(data, "columns")


def _is_stream(data: Any) -> bool:
    has_places = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return isinstance(data, Iterable) or has_places


def _elements(data: Any) -> Iterator[Any]:
    """Yield the elements in order; a torch `Dataset` has places and no end of its own."""
    if hasattr(data, "__len__") and not isinstance(data, Iterable):
        return (data[place] for place in range(len(data)))
    return iter(data)


def _columns(data: Any, reader: _Reader) -> tuple[Any, Any] | None:
    """Return (X, y) if data is that: a column of labels beside as many items."""
    if not isinstance(data, tuple) or len(data) != 2:
        return None
    X, y = (_plain(each) for each in data)
    if not reader.prefers_items:
        _refuse_tables(X, y)
    inputs: Any = next(iter(X.values()), None) if isinstance(X, Mapping) else X  # by name, or one
    if is_one(inputs) or is_one(y) or not (hasattr(inputs, "__len__") and hasattr(y, "__len__")):
        return None
    is_column = getattr(y, "ndim", 1) == 1 and all(_is_label(each) for each in y)
    if not is_column or getattr(inputs, "ndim", 2) < 2:
        return None
    if len(inputs) != len(y) and hasattr(inputs, "ndim"):  # two lists may be two items
        raise DataError(
            f"X has {len(inputs)} items and y {len(y)} labels.",
            "Which label belongs to which item can't be told.",
            "As many labels as items, in one order; None where there is no label.",
            "Look at:  len(X), len(y)",
        )
    if len(inputs) != len(y) or (len(y) == 2 and _are_pairs(X, y, reader)):
        return None
    return X, y


def _refuse_tables(X: Any, y: Any) -> None:
    """Raise `ShapeError` if X is a table, or y one beside as many rows: neither is items or labels.

    Two arrays of one shape may be two items.
    """
    shapes = [tuple(getattr(each, "shape", ())) for each in (X, y)]
    if hasattr(X, "columns") and len(shapes[1]) in (1, 2):
        raise ShapeError(
            f"X is {a_kind(X)} of shape {shapes[0]}, beside y of shape {shapes[1]}.",
            "Its columns are no items.",
            "An array with a row for each item.",
            "Type, for example:  cp.fit((X.to_numpy(), y))",
        )
    if len(shapes[1]) == 2 and shapes[0][:1] == shapes[1][:1] and shapes[0] != shapes[1]:
        raise ShapeError(
            f"y is a table of shape {shapes[1]}, beside X of shape {shapes[0]}.",
            "It has several values per item, or a second axis.",
            "One label per item, in an array of one axis; or a list of the names each item has.",
            "Type, for example:  cp.fit((X, y.ravel()))   or of one-hot rows  "
            "cp.fit((X, y.argmax(1)))",
        )


def _are_pairs(X: Any, y: Any, reader: _Reader) -> bool:
    """Say whether two lists of two are two pairs of item and label, not X and y.

    Raises
    ------
    ModalityError
        If they may be either.
    """
    if not all(isinstance(each, list | tuple) for each in (X, y)):
        return False
    first, second = ([reader.is_item(each) for each in given] for given in (X, y))
    if first == [True, True] and any(second):
        raise ModalityError(
            "Two lists of two may be X and y, or two items with their labels.",
            f"They are {str([X, y])[:80]}, and all may be items of kind {reader.kind.NAME}.",
            "Items with labels beside them, or a list of pairs.",
            "Type:  labels=y beside X   or:  [(item, label), (item, label)]",
        )
    return first == second == [True, False]


def _is_label(value: Any) -> bool:
    """Say whether a value can be a label beside items: no array, and no image."""
    return np.isscalar(value) or value is None or isinstance(value, list | tuple | set | frozenset)


def _no_pair(element: Any) -> ModalityError:
    return ModalityError(
        f"One of the items is {a_kind(element)} of {len(element)}.",
        "A pair is an item and its label.",
        "Items, or pairs of item and label.",
        "Type, for example:  cp.fit((item, label) for item, label, _ in data)",
    )


def _no_items(row: Mapping[str, Any], names: Sequence[str]) -> ModalityError:
    return ModalityError(
        f"A row has no column of items; its columns are: {', '.join(map(str, row))}.",
        "None of them is read.",
        f"A column {', '.join(names)}; and {' or '.join(LABEL_COLUMNS)}.",
        'Type, for example:  cp.fit((row["photo"], row["kind"]) for row in rows)',
    )


def _apart(items: Any, labels: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items and labels of a batch."""
    if labels is _NO_LABEL:
        yield from ((_plain(item), _NO_LABEL) for item in items)
        return
    for item, label in zip(items, _plain(labels), strict=True):
        yield _plain(item), _label(label)


def _is_batch(items: Any, labels: Any) -> bool:
    """Say whether arrays are a batch: as many labels as items."""
    if labels is _NO_LABEL or not isinstance(items, np.ndarray) or items.ndim < 2:
        return False
    is_column = isinstance(labels, np.ndarray) and labels.ndim == 1
    return is_column and len(labels) == len(items)


def _labels(found: Sequence[tuple[Any, Any]]) -> list[Any] | None:
    labels = [label for _, label in found]
    n_with = sum(label is not _NO_LABEL for label in labels)
    if 0 < n_with < len(labels):
        raise DataError(
            f"{n_with} of {len(labels)} items came with a label, the others without a pair.",
            "Whether a label is missing, or none was meant, can't be told.",
            "Pairs for all, (item, None) where there is no label.",
            "Type, for example:  cp.fit([(item, label), (other, None)])",
        )
    return labels if n_with else None


def _plain(value: Any) -> Any:
    """Return tensors as NumPy arrays, texts of tf.data as bytes, anything else as it is."""
    if not _is_tensor(value):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    found = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    return found if isinstance(found, bytes) else np.asarray(found)


def _label(value: Any) -> Any:
    """Return a label as Python has it; an array of no axis is its number."""
    value = _plain(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


def _is_tensor(value: Any) -> bool:
    is_of = type(value).__module__.partition(".")[0] in _TENSORS
    return is_of and hasattr(value, "shape") and hasattr(value, "dtype")


def _is_loader(data: Any) -> bool:
    """Say whether each element is a batch, as far as the data itself says."""
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):
        return data.batch_size is not None or getattr(data, "batch_sampler", None) is not None
    spec = getattr(data, "element_spec", None)
    if spec is None:
        return False
    leaves = list(spec.values() if isinstance(spec, Mapping) else np.atleast_1d(_listed(spec)))
    ranks = [leaf.shape.rank or 0 for leaf in leaves]
    if len(leaves) > 1:  # labels are numbers or texts, of no axis
        return min(ranks) > 0
    return ranks[0] > 3 or (ranks[0] in (1, 2) and leaves[0].shape[0] is None)


def _listed(spec: Any) -> Any:
    leaves = np.empty(len(spec) if isinstance(spec, tuple | list) else 1, object)
    leaves[:] = spec if isinstance(spec, tuple | list) else [spec]
    return leaves


def _refuse_endless(data: Any) -> None:
    cardinality = getattr(data, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == -1:
        raise DataError(
            "The data never ends: its cardinality is infinite.",
            "All items are read once, in order.",
            "The data before it is repeated.",
            "Leave out:  .repeat()",
        )


def _notes(data: Any) -> list[str]:
    """Return what a loader does that changes what is read."""
    notes = []
    if type(getattr(data, "sampler", None)).__name__ == "RandomSampler":
        notes.append(
            "the loader shuffles, and keys are positions: splits will be drawn anew each time; "
            "use shuffle=False"
        )
    if getattr(data, "drop_last", False):
        notes.append("the loader leaves out its last items: use drop_last=False")
    return notes


def _unread(columns: Iterable[str]) -> list[str]:
    names = list(columns)
    return [f"columns not read: {', '.join(names)}"] if names else []
