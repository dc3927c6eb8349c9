"""What iterates over items, or items with their labels: torch, tf.data, Hugging Face, generators.

Everything is read once, in order, whatever its length. No framework is imported: tensors are known
by the module of their type, loaders by what they have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image

from cutpoint.base.errors import DataError, ModalityError

ITEM_COLUMNS = ("image", "img", "path", "file", "array")
LABEL_COLUMNS = ("label", "labels", "target")
_TENSORS = ("torch", "torchvision", "tensorflow", "jax", "jaxlib")
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


def unpack(data: Any, kind: str = "image") -> Unpacked:
    """Return the items and labels of whatever holds them.

    Parameters
    ----------
    data : iterable of items, of (item, label) or of mappings; or (X, y); or a stack
        Batches of a torch ``DataLoader`` or ``tf.data.Dataset`` are taken apart. A torch
        ``Dataset`` may have a length and places alone.
    kind : str
        The kind of item. Where items are arrays, a mapping without a column of labels is one
        item, its inputs by name.

    Raises
    ------
    ModalityError
        If an element is neither an item nor a pair, or a mapping without a column of items.
    DataError
        If the data never ends, or only some items have labels.
    """
    if is_one(data) or not _is_stream(data):
        return Unpacked(data)
    if _is_tensor(data):
        return Unpacked(_plain(data))
    if (pair := _columns(data)) is not None:
        return Unpacked(pair[0], [_label(each) for each in pair[1]])
    if isinstance(data, np.ndarray) or hasattr(data, "__array_interface__"):
        return Unpacked(data)
    _refuse_endless(data)
    is_batched, unread = _is_loader(data), dict[str, None]()
    elements = (_paired(each, kind, unread) for each in _elements(data))
    found = list(chain.from_iterable(_taken(each, is_batched) for each in elements))
    return Unpacked(
        [payload for payload, _ in found], _labels(found), (*_notes(data), *_unread(unread))
    )


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


def _columns(data: Any) -> tuple[Any, Any] | None:
    """Return (X, y) if data is that: a column of labels beside as many items."""
    if not isinstance(data, tuple) or len(data) != 2:
        return None
    X, y = (_plain(each) for each in data)
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
    return (X, y) if len(inputs) == len(y) else None


def _is_label(value: Any) -> bool:
    """Say whether a value can be a label beside items: no array, and no image."""
    return np.isscalar(value) or value is None or isinstance(value, list | tuple | set | frozenset)


def _paired(element: Any, kind: str, unread: dict[str, None]) -> Any:
    """Return a row with named columns as a pair; anything else as it is."""
    if not isinstance(element, Mapping):
        return element
    has_label = any(name in element for name in LABEL_COLUMNS)
    return element if kind == "array" and not has_label else _row(element, unread)


def _taken(element: Any, is_batched: bool) -> Iterator[tuple[Any, Any]]:
    """Yield (item, label) of one element: an item, a pair, or a batch of either."""
    is_pair = isinstance(element, tuple | list)
    if is_pair and is_batched and is_one(element[0]):
        is_pair = False  # a list of items, as a loader's own `collate_fn` makes
    elif is_pair and len(element) == 1:  # a `TensorDataset` of items alone
        element, is_pair = element[0], False
    if is_pair and len(element) != 2:
        raise ModalityError(
            f"One of the items is a {type(element).__name__} of {len(element)}.",
            "A pair is an item and its label.",
            "Items, or pairs of item and label.",
            "Type, for example:  cp.fit((item, label) for item, label, _ in data)",
        )
    item, label = element if is_pair else (element, _NO_LABEL)
    item = _plain(item)
    if is_batched or _is_batch(item, _plain(label)):
        yield from _apart(item, label)
    else:
        yield item, label if label is _NO_LABEL else _label(label)


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


def _row(row: Mapping[str, Any], unread: dict[str, None]) -> tuple[Any, Any]:
    """Return item and label of a row with named columns; note columns that are not read."""
    item = next((name for name in ITEM_COLUMNS if name in row), None)
    if item is None:
        raise ModalityError(
            f"A row has no column of items; its columns are: {', '.join(map(str, row))}.",
            "None of them is read.",
            f"A column {', '.join(ITEM_COLUMNS)}; and {' or '.join(LABEL_COLUMNS)}.",
            'Type, for example:  cp.fit((row["photo"], row["kind"]) for row in rows)',
        )
    label = next((name for name in LABEL_COLUMNS if name in row), None)
    unread |= dict.fromkeys(str(name) for name in row if name not in (item, label))
    found = row[item]
    if isinstance(found, Mapping):  # a Hugging Face image that is not decoded
        found = found.get("bytes") or found.get("path")
    return (found, _NO_LABEL if label is None else row[label])


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
