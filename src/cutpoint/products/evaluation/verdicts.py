"""What a predictor says of labelled items beside what is true, and the scores of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import DataError
from cutpoint.base.tongue import either, option
from cutpoint.base.types import Array
from cutpoint.items.reading import Dataset, Item, names_in, values_of
from cutpoint.learning.choosing import zeros_and_ones
from cutpoint.learning.metrics import (
    LabelScores,
    Scores,
    ValueScores,
    score,
    score_labels,
    score_values,
)
from cutpoint.products.predictor import Predictor

AnyScores = Scores | LabelScores | ValueScores


@dataclass(frozen=True)
class Verdict:
    """One scored item.

    Attributes
    ----------
    key : str
    truth, predicted : str, int, bool or float; tuple of str; float
        A class, labels, or a value.
    probability : float or None
        That of the class; for labels the least sure one's side; None for values.
    miss : float
        How far off: 0 if right, else the probability of the wrong class, how many labels are
        wrong, or the absolute error of a value.
    """

    key: str
    truth: Any
    predicted: Any
    probability: float | None
    miss: float = 0.0

    @property
    def is_right(self) -> bool:
        return bool(self.truth == self.predicted)


Judged = tuple[AnyScores, tuple[Verdict, ...]]


def judge_items(predictor: Predictor, items: Sequence[Item], outputs: Array) -> Judged:
    """Return scores and verdicts of what a predictor puts out for labelled items.

    Parameters
    ----------
    outputs : float64 array of shape (n_items, n_outputs)
        Probabilities of classes or labels, or values.
    """
    return _JUDGES[predictor.target](predictor, items, outputs)


def _judge_classes(predictor: Predictor, items: Sequence[Item], outputs: Array) -> Judged:
    classes = predictor.classes
    places = {str(name): place for place, name in enumerate(classes)}
    truth = np.array([places[str(item.label)] for item in items])
    columns = outputs.argmax(axis=1)
    verdicts = tuple(
        Verdict(
            item.key,
            classes[place],
            classes[column],
            float(row[column]),
            float(row[column]) if column != place else 0.0,
        )
        for item, place, row, column in zip(items, truth, outputs, columns, strict=True)
    )
    return score(outputs, truth), verdicts


def _judge_labels(predictor: Predictor, items: Sequence[Item], outputs: Array) -> Judged:
    names, thresholds = predictor.labels, predictor.thresholds
    truth = zeros_and_ones([item.label for item in items], names) == 1
    if not truth.any():
        raise DataError(
            "No item to score has any of the predictor's labels.",
            f"There are {len(items)} items and {len(names)} labels: {', '.join(names[:5])}.",
            "Items some of which have a label.",
            "Look at the column `label` of the manifest.",
        )
    given = outputs >= thresholds
    sides = np.where(given, outputs, 1 - outputs).min(axis=1)
    verdicts = tuple(
        Verdict(
            item.key,
            _named(names, has),
            _named(names, said),
            float(side),
            float((has != said).sum()),
        )
        for item, has, said, side in zip(items, truth, given, sides, strict=True)
    )
    return score_labels(outputs, truth, thresholds, names), verdicts


def _judge_values(predictor: Predictor, items: Sequence[Item], outputs: Array) -> Judged:
    truth = values_of("the items to score", [item.label for item in items])
    if len(set(truth)) < 2:
        raise DataError(
            f"The {len(items)} items to score have one value alone, {truth[0]:g}.",
            "R² divides by their variance.",
            "Items of two different values or more.",
            f"Score all items with:  {option('split', 'all')}",
        )
    verdicts = tuple(
        Verdict(item.key, float(true), float(said), None, abs(float(said - true)))
        for item, true, said in zip(items, truth, outputs[:, 0], strict=True)
    )
    return score_values(outputs[:, 0], truth), verdicts


_JUDGES: dict[str, Callable[[Predictor, Sequence[Item], Array], Judged]] = {
    "classes": _judge_classes,
    "labels": _judge_labels,
    "values": _judge_values,
}


def _named(names: Sequence[str], has: Array) -> tuple[str, ...]:
    return tuple(name for name, there in zip(names, has, strict=True) if there)


def check_labels(predictor: Predictor, dataset: Dataset, items: Sequence[Item], split: str) -> None:
    """Raise `DataError` unless the predictor can be right about each item's label."""
    if not items:
        raise _no_items(dataset, split)
    if predictor.target == "values":
        values_of(dataset.name, [item.label for item in items])
        return
    several = predictor.target == "labels"
    known = set(predictor.labels if several else map(str, predictor.classes))
    found = {
        name for item in items for name in (names_in(item.label) if several else [str(item.label)])
    }
    if found - known:
        raise DataError(
            f'The predictor does not know some {predictor.target} of "{dataset.name}", split '
            f'"{split}": {", ".join(sorted(found - known)[:5])}.',
            "It was fitted without them.",
            f"Items of its {len(known)} {predictor.target}: {', '.join(sorted(known)[:5])}, …",
            "Fit one for them with:  "
            + either("cutpoint.fit(data)", f"cutpoint fit {dataset.name} -o NEW.cutpoint"),
        )


def _no_items(dataset: Dataset, split: str) -> DataError:
    counts = dataset.counts()
    there = ", ".join(f"{name} ({counts[name]})" for name in sorted(counts))
    fitting = next((name for name in ("test", "val") if name in counts), "all")
    if not counts:
        on_disk = "A folder of class folders, or a manifest with the column `label`."
        return DataError(
            f'No item of "{dataset.name}" has a label.',
            "So nothing can be scored.",
            on_disk if Path(dataset.name).exists() else "A label for each item to score.",
            either("Type, for example:  labels=[…]", "Name the column with:  --label NAME"),
        )
    return DataError(
        f'Split "{split}" of "{dataset.name}" has no items.',
        f"Its items are in: {there}.",
        "A split with items that the predictor has not learned from.",
        f"Type:  {option('split', fitting)}",
    )
