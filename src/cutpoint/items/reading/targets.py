"""What labels are: one class an item, several labels, or a number.

The rule of `tell_kind`, where nobody says:

1. Labels are what the layout of the data makes them: class folders are classes, sequences are
   several labels.
2. Text with `SEPARATOR` is several labels, if most items have it or if its parts recur, so that
   there are fewer names than texts.
3. Numbers are values, if one of them has a fraction, or if they are many and hardly recur: more
   than `MANY` different ones, each on fewer than `FEW_ALIKE` items in the mean.
4. All else is classes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cutpoint.base.arguments import check_choice
from cutpoint.base.errors import DataError
from cutpoint.base.text import counted
from cutpoint.base.tongue import option
from cutpoint.base.types import Float64
from cutpoint.items.reading.items import Dataset
from cutpoint.items.reading.labels import SEPARATOR, refuse_twins

KINDS = ("classes", "labels", "values")
AUTO = "auto"
MANY = 20  # whole numbers; as many classes are common
FEW_ALIKE = 5  # items a number; a class to learn has more
_LARGEST = 1e140  # sums of squares stay below 1e308, and above 1e-308
MAX_BINS = 10  # of values, within which a split is drawn
FEWEST_IN_BIN = 25  # items; a fifth of fewer is rounded too far


@dataclass(frozen=True)
class Kind:
    """What labels were taken for.

    Attributes
    ----------
    name : {"classes", "labels", "values"}
    why : str
        Empty where nothing else could be meant, or it was said.
    """

    name: str
    why: str = ""

    @property
    def told(self) -> str:
        """What to say of it, with what to type for another; empty if there is nothing to say."""
        others = " or ".join(option("kind", each) for each in KINDS if each != self.name)
        taken = f"Target taken: {self.name}, as {self.why}."
        return f"{taken} For another type {others}." if self.why else ""


def check_kind(kind: Any) -> None:
    """Raise `UsageError` unless it is one of `KINDS`, or "auto"."""
    check_choice("kind", kind, (AUTO, *KINDS), "values")


def tell_kind(labels: Iterable[Any], kind: str = AUTO, layout: str = "") -> Kind:
    """Return what labels are: as it was said, as the layout says, or by the rule of this module.

    Parameters
    ----------
    labels : iterable of str, int, float, bool or None
        Those of training items; None where there is none.
    kind : {"auto", "classes", "labels", "values"}
    layout : str
        What the data itself says, `Dataset.target`; empty if nothing.
    """
    check_kind(kind)
    if kind != AUTO or layout:
        return Kind(layout if kind == AUTO else kind)
    texts = [str(label) for label in labels if label is not None]
    return _several(texts) or _numbers(texts) or Kind("classes")


def settle_kind(dataset: Dataset, kind: str, tell: Callable[[str], None]) -> str:
    """Return what the labels of a data set are, told by those of its training items; say so."""
    training = dataset.only("train").items or dataset.items
    found = tell_kind((item.label for item in training), kind, dataset.target)
    if found.told:
        tell(found.told)
    if found.name == "labels":
        _refuse_twin_names(dataset)
    return found.name


def names_in(label: Any) -> frozenset[str]:
    """Return the labels of an item that has several.

    Examples
    --------
    >>> sorted(names_in("dog; cat")), sorted(names_in(";"))
    (['cat', 'dog'], [])
    """
    return frozenset(name.strip() for name in str(label).split(SEPARATOR)) - {""}


def number_in(label: Any) -> float:
    """Return the value a label spells; raise `ValueError` if it is no finite number."""
    value = float(label)
    if not math.isfinite(value):
        raise ValueError(f"{label!r} is no finite number")
    return value


def values_of(name: str, labels: Iterable[Any]) -> Float64:
    """Return labels as float64 values; raise `DataError`, `name` the data's, if one is none."""
    found = list(labels)
    try:
        return _squarable(np.array([number_in(label) for label in found], np.float64))
    except ValueError as error:
        raise DataError(
            f'Not all labels of "{name}" can be values: {error}.',
            f"{len(found)} labels were taken for values.",
            "A finite number for every item; an empty one where it is not known.",
            f"Correct the label, or fit with:  {option('kind', 'classes')}",
        ) from error


def _squarable(values: Float64) -> Float64:
    """Return values whose variance is a number; raise `ValueError` if it is none, or vanishes."""
    size = np.abs(values).max(initial=0.0)
    if size > _LARGEST or (0 < size < 1 / _LARGEST):
        raise ValueError(f"the largest is {size:g} in size, and its square is no number")
    return values


def strata(dataset: Dataset, kind: str) -> list[str]:
    """Return, of classes and values, within what a split is drawn: the class, or quantiles."""
    labels = [str(item.label) for item in dataset.items]
    if kind != "values":
        return labels
    values = values_of(dataset.name, labels)
    n_bins = max(1, min(MAX_BINS, len(values) // FEWEST_IN_BIN))
    edges = np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1])
    return [str(place) for place in np.searchsorted(edges, values, side="right")]


def labelled(dataset: Dataset) -> Dataset:
    """Return the items that have a label; the others are learned from and scored nowhere."""
    return dataset.with_items(tuple(item for item in dataset.items if item.label is not None))


def without_unlabelled_splits(dataset: Dataset) -> Dataset:
    """Return the data set with no split on items without a label, so that no split has them."""
    return dataset.with_items(
        tuple(
            item if item.label is not None else replace(item, split=None) for item in dataset.items
        )
    )


def _several(texts: Sequence[str]) -> Kind | None:
    n_with = sum(SEPARATOR in text for text in texts)
    if not n_with:
        return None
    names = frozenset[str]().union(*map(names_in, texts))
    if 2 * n_with <= len(texts) and len(names) >= len(set(texts)):
        return Kind("classes", f'"{SEPARATOR}" is read as part of {n_with} of {len(texts)} names')
    return Kind("labels", f'{n_with} of {len(texts)} hold "{SEPARATOR}", and name {len(names)}')


def _numbers(texts: Sequence[str]) -> Kind | None:
    try:
        values = [number_in(text) for text in texts]
    except ValueError:
        return None
    if not values:
        return None
    fractions = [text for text, value in zip(texts, values, strict=True) if not value.is_integer()]
    n_different = len(set(values))
    if fractions:
        return Kind("values", f"they are numbers, and {fractions[0]} has a fraction")
    if n_different > MANY and len(values) < FEW_ALIKE * n_different:
        return Kind("values", f"{n_different} different numbers on {len(values)} items")
    n_texts = len(set(texts))
    items = counted(len(values), "item")
    if n_texts != n_different:
        return Kind("classes", f"{n_texts} spellings of whole numbers on {items}")
    numbers = counted(n_texts, "whole number", "different whole numbers")
    return Kind("classes", f"{numbers} on {items}")


def _refuse_twin_names(dataset: Dataset) -> None:
    places = Counter[tuple[str, str]]()
    for item in dataset.items:
        for name in sorted(names_in(item.label)) if item.label is not None else ():
            places.setdefault((name, item.key), 0)
    refuse_twins(dataset.name, places, "item", "Make them one spelling")
