"""Labels of any type, kept as text and given back as they came."""

from __future__ import annotations

import contextlib
import math
import unicodedata
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from cutpoint.base.errors import DataError, ShapeError
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import either

Label = str | int | float | bool
LABEL_TYPES = ("str", "int", "bool", "float")
SEPARATOR = ";"  # between the labels of an item that has several; alone: the item has none of them
_SEVERAL = "several"  # labels an item
_MOST = 2**63  # whole numbers beyond it are no NumPy integers


def is_absent(value: Any) -> bool:
    """Say whether a value means that there is none: None, NaN, pandas' NA, blank text."""
    if isinstance(value, str):
        return not value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def read_labels(name: str, values: Sequence[Any]) -> tuple[list[str | None], str, str]:
    """Return labels as text, the one type of `LABEL_TYPES` they are of, and what they say they are.

    The last is "labels" of sequences, which become text with `SEPARATOR`; else empty.

    Parameters
    ----------
    name : str
        What they are labels of, for messages.
    values : sequence of str, int, bool, float or None, or of lists, tuples or sets of names

    Raises
    ------
    DataError
        If a label is something else, or labels are of several types.
    """
    types = [None if is_absent(value) else _type_of(name, place, value)
             for place, value in enumerate(values)]  # fmt: skip
    found = list(dict.fromkeys(each for each in types if each is not None))
    if len(found) > 1:
        shown = " and ".join(f"{values[types.index(each)]!r} ({each})" for each in found[:2])
        raise DataError(
            f'The labels of "{name}" are of several types: {", ".join(found)}.',
            f"Among them are {shown}.",
            "Labels of one type: text, whole numbers, bools or floats.",
            either(
                "Make them one, for example:  labels=[str(label) for label in labels]",
                "Write them all as text, in quotes",
            ),
        )
    if found == [_SEVERAL]:
        return [_joined(name, value) for value in values], "str", "labels"
    texts = [None if kind is None else _spelled(value, kind)
             for kind, value in zip(types, values, strict=True)]  # fmt: skip
    return texts, (found or ["str"])[0], ""


def is_label(text: object, label_type: object) -> bool:
    """Say whether `text` is how `read_labels` spells a label of a type."""
    if not isinstance(text, str) or label_type not in LABEL_TYPES:
        return False
    if label_type in ("str", "bool"):
        return label_type == "str" or text in ("True", "False")
    try:
        given = as_given(text, str(label_type))
    except (ValueError, OverflowError):
        return False
    return bool(given == given)  # no label is NaN


def as_given(text: Any, label_type: str) -> Any:
    """Return a label as the type it came in; None stays None.

    Examples
    --------
    >>> as_given("3", "int"), as_given("False", "bool"), as_given("3", "str")
    (3, False, '3')
    """
    if not isinstance(text, str) or label_type == "str":
        return text
    if label_type == "bool":
        return text == "True"
    return int(text) if label_type == "int" else float(text)


def refuse_twins(name: str, places: Iterable[tuple[str, str]], what: str, remedy: str) -> None:
    """Raise `DataError` if two labels differ in case, spaces or Unicode form alone.

    Parameters
    ----------
    name : str
        Name of the data, for messages.
    places : iterable of (label, where it stands)
    what : str
        What `where` is, ``"line"``.
    remedy : str
        What to type.
    """
    first: dict[str, dict[str, str]] = {}
    for label, where in places:
        first.setdefault(_folded(label), {}).setdefault(label, where)
    for spellings in first.values():
        if len(spellings) > 1:
            shown = ", ".join(f'"{label}" ({what} {where})' for label, where in spellings.items())
            raise DataError(
                f'Labels of "{name}" differ in case, spaces or unseen marks only.',
                f"They are: {shown}.",
                "One spelling a class; two would be two classes.",
                remedy,
            )


def same_numbers(labels: Iterable[str | None]) -> tuple[str, ...]:
    """Return what to tell of labels that are one number, spelled ``1``, ``1.0`` and ``01``.

    They may be codes, of which each is a class; so nothing is refused.
    """
    spellings: dict[float, dict[str, None]] = {}
    for label in labels:
        with contextlib.suppress(TypeError, ValueError):
            spellings.setdefault(float(label), {})[str(label)] = None  # type: ignore[arg-type]  # None is suppressed
    return tuple(
        f"labels {', '.join(each)} are one number and {len(each)} classes: if one class is meant, "
        "spell it one way"
        for each in spellings.values()
        if len(each) > 1
    )


def _joined(name: str, value: Any) -> str | None:
    """Return the labels of one item as text; of an item that has none of them, the separator."""
    if is_absent(value):
        return None
    texts = sorted({str(each).strip() for each in value})
    if any(SEPARATOR in text or not text for text in texts):
        raise DataError(
            f'A label of "{name}" is empty, or has "{SEPARATOR}" in it: {texts}.',
            f'It stands between the labels of an item that has several, as in "cat{SEPARATOR}dog".',
            "Names without it.",
            f'Type, for example:  name.replace("{SEPARATOR}", ",")',
        )
    return SEPARATOR.join(texts) or SEPARATOR


def _no_number(name: str, place: int, value: Any) -> DataError:
    return DataError(
        f'Label {place} of "{name}" is {value}, which is no finite number.',
        "It is neither a class nor a value that could be predicted.",
        "A finite number, or none where the label is not known.",
        either(
            "Type, for example:  labels=numpy.where(numpy.isfinite(y), y, numpy.nan)",
            "Leave the label empty, or correct it",
        ),
    )


def _spelled(value: Any, kind: str) -> str:
    return str(float(value) + 0.0) if kind == "float" else str(value)  # -0.0 is 0.0


def _shown(value: Any) -> str:
    return f"{a_kind(value)} of {len(value)}"


def _folded(label: str) -> str:
    """Return a label without case, spaces at the ends, and marks that nobody sees."""
    seen = "".join(c for c in label if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", seen).split()).casefold()


def _type_of(name: str, place: int, value: Any) -> str:
    if isinstance(value, str):
        return "str"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Integral) and -_MOST <= int(value) < _MOST:
        return "int"
    if isinstance(value, Real) and not isinstance(value, Integral):
        if not math.isfinite(value):
            raise _no_number(name, place, value)
        return "float"
    is_names = isinstance(value, list | tuple | set | frozenset)
    if is_names and all(isinstance(each, str) for each in value):
        return _SEVERAL
    if is_names or np.ndim(value):
        raise ShapeError(
            f'Label {place} of "{name}" is a row of numbers: {_shown(value)}.',
            "Zeros and ones name no label.",
            "One label an item; or a list of the names of those it has.",
            "Type, for example:  labels=labels.argmax(axis=1)   or   "
            "labels=[list(names[row == 1]) for row in labels]",
        )
    raise DataError(
        f'Label {place} of "{name}" is {a_kind(value)}: {str(value)[:40]}.',
        "A label is text, a whole number of 64 bits, a bool or a float.",
        "One of these for each item, or none.",
        either(
            "Type, for example:  labels=[str(label) for label in labels]",
            "Write one of these in place of the label, or name another column with:  --label NAME",
        ),
    )
