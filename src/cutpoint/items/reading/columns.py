"""Labels, groups and splits that are given beside the items."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.base.tables import guarded
from cutpoint.base.text import a_kind
from cutpoint.items.reading.folder import SPLIT_NAMES
from cutpoint.items.reading.items import Dataset
from cutpoint.items.reading.labels import is_absent, read_labels, refuse_twins, same_numbers
from cutpoint.items.reading.targets import tell_kind
from cutpoint.items.reading.written_splits import read_written_splits

Column = Sequence[Any] | Mapping[Any, Any] | os.PathLike[str]
"""A value for each item, in their order; or key → value; of splits the path of ``splits.csv``."""


def with_columns(
    dataset: Dataset,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    by_position: bool = True,
) -> Dataset:
    """Return `dataset` with what is given; it goes before what the data brings.

    Parameters
    ----------
    labels, groups, splits : sequence or mapping, optional
        Each has a value, or None, for every item. `splits` may be the path of a ``splits.csv``.
    by_position : bool
        Whether the caller knows the order of the items, so that a sequence can be matched.

    Raises
    ------
    ShapeError
        If there are more or fewer values than items.
    UsageError
        If a sequence is given for items whose order the caller can't know.
    DataError
        If a mapping lacks an item, or a label or split can't be.
    """
    items, warnings = dataset.items, []
    changed: dict[str, list[Any]] = {}
    if isinstance(splits, str | os.PathLike):
        splits, more = read_written_splits(Path(splits), dataset)
        warnings += more
    for name, given in (("labels", labels), ("groups", groups), ("splits", splits)):
        if given is not None:
            changed[name], extra = _values(name, given, dataset, by_position)
            if extra:
                warnings.append(f"{len(extra)} keys of {name} name no item, such as {extra[0]}")
    if not changed:
        return dataset
    if "labels" in changed:
        texts, label_type, target = read_labels(dataset.name, changed["labels"])
        places = [(text, item.key) for text, item in zip(texts, items, strict=True) if text]
        remedy = "Make them one, for example:  labels=[label.strip().lower() for label in labels]"
        refuse_twins(dataset.name, places, "item", remedy)
        items = tuple(replace(i, label=t) for i, t in zip(items, texts, strict=True))
        classes = tuple(sorted({text for text in texts if text is not None}))
        dataset = replace(dataset, classes=classes, label_type=label_type, target=target)
        if tell_kind(texts, layout=target).name != "values":
            warnings += same_numbers(texts)
    if "groups" in changed:
        names = [None if is_absent(value) else str(value) for value in changed["groups"]]
        items = tuple(replace(i, group=g) for i, g in zip(items, names, strict=True))
    if "splits" in changed:
        found = [None if is_absent(value) else _split(value) for value in changed["splits"]]
        items = tuple(replace(i, split=s) for i, s in zip(items, found, strict=True))
    return dataset.with_items(items).with_warnings(*warnings)


def _values(
    name: str, given: Any, dataset: Dataset, by_position: bool
) -> tuple[list[Any], list[str]]:
    """Return a value for each item, and the keys that name none."""
    if isinstance(given, Mapping):
        return _by_key(name, given, dataset)
    is_one = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    if is_one or isinstance(given, str | bytes) or hasattr(given, "columns"):
        raise ShapeError(
            f"{name} is {a_kind(given)}, which is no column.",
            "It has no value for each item.",
            "A list, an array of one axis or a Series, as long as the items; or key → value.",
            f"Type, for example:  {name}=list(table.{name.removesuffix('s')})",
        )
    values = list(given)  # by position: a pandas Series would be looked up by its index
    if not by_position:
        raise _unknown_order(name, dataset)
    if len(values) != len(dataset):
        raise ShapeError(
            f"There are {len(values)} {name} and {len(dataset)} items.",
            "Which belongs to which can't be told apart.",
            f"As many {name} as items, in the same order.",
            f"Compare:  len(items), len({name})",
        )
    _refuse_table(name, given)
    return values, []


def _refuse_table(name: str, given: Any) -> None:
    shape = getattr(given, "shape", (0,))
    if len(shape) > 1:
        raise ShapeError(
            f"{name} is a table of shape {tuple(shape)}, one-hot rows perhaps.",
            "It has several values per item.",
            "An array of one axis.",
            f"Type, for example:  {name}={name}.argmax(axis=1)   or   {name}={name}.ravel()",
        )


def _by_key(name: str, given: Mapping[Any, Any], dataset: Dataset) -> tuple[list[Any], list[str]]:
    values = {_key(key): value for key, value in given.items()}
    for item in dataset.items:  # a key read out of splits.csv is as it was written there
        written = guarded(item.key)
        if item.key not in values and written in values:
            values[item.key] = values.pop(written)
    missing = [item.key for item in dataset.items if item.key not in values]
    if missing:
        raise DataError(
            f'{name} lacks {len(missing)} of {len(dataset)} items of "{dataset.name}".',
            f'One of them is "{missing[0]}"; {_first_of(values)}.',
            "A value for each item, None where there is none; keys as in splits.csv.",
            f"Type, for example:  {name}={{{_typed(missing[0])}: …, …}}",
        )
    own = {item.key for item in dataset.items}
    return [values[item.key] for item in dataset.items], [k for k in values if k not in own]


def _typed(key: str) -> str:
    """Return a key in double quotes, as Python reads it."""
    return json.dumps(key, ensure_ascii=False)


def _first_of(values: Mapping[str, Any]) -> str:
    return f'the first key given is "{next(iter(values))}"' if values else "no key was given"


def _key(key: Any) -> str:
    text = PurePath(key).as_posix() if isinstance(key, os.PathLike) else str(key)
    return unicodedata.normalize("NFC", text)


def _unknown_order(name: str, dataset: Dataset) -> UsageError:
    example = dataset.items[0].key if dataset.items else "cat/001.jpg"
    return UsageError(
        f'{name} can\'t be matched by position with the items of "{dataset.name}".',
        "They are in the order of their keys, without what is no item; that need not be yours.",
        f"A mapping of key to value; or a manifest with the column `{name.removesuffix('s')}`.",
        f"Type, for example:  {name}={{{_typed(example)}: …, …}}",
    )


def _split(name: Any) -> str:
    found = SPLIT_NAMES.get(str(name).strip().lower())
    if found is None:
        raise DataError(
            f'No split has the name "{name}".',
            "An item is said to be in it.",
            "Splits: train, val, test, or None to have them drawn.",
            'Type, for example:  splits=["train", "test"]   or of files  {"cat/001.jpg": "train"}',
        )
    return found
