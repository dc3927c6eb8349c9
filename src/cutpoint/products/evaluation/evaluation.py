"""Score a predictor on labelled items it has not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cutpoint.base.errors import BadItem, DataError, LeakageError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.text import counted, printable
from cutpoint.base.tongue import either, option
from cutpoint.base.types import Array
from cutpoint.items.reading import (
    Dataset,
    Item,
    Label,
    as_given,
    digest_payload,
    labelled,
    read_payload,
)
from cutpoint.learning.metrics import LabelScores, Scores
from cutpoint.products.evaluation.verdicts import AnyScores, Verdict, check_labels, judge_items
from cutpoint.products.predictor import Predictor, short_digest

SPLITS = ("test", "val", "train", "all")
MAX_CLASSES_PRINTED = 4  # more would not fit 100 columns; the report has all
MAX_LABELS_PRINTED = 20  # the report has all


@dataclass(frozen=True)
class Evaluation:
    """Scores with what they rest on.

    Attributes
    ----------
    split : str
    classes : tuple of str, int, bool or float
        In the type that labels came in when the predictor was fitted; names of labels; of values
        none.
    scores : Scores, LabelScores or ValueScores
    verdicts : tuple of Verdict
        In the order of the items.
    confidence, is_right : arrays of shape (n_items,)
    quarantined : tuple of (key, reason)
    n_left_out : int
        Items not scored because the predictor had learned from equal bytes.
    splits_from : {"data", "drawn", "none"}
        Whether the data brought its splits, they were drawn as `fit` draws them, or there are none.
    n_other_splits : int
        Items not scored because they are in other splits.
    target : {"classes", "labels", "values"}
    """

    split: str
    classes: tuple[Label, ...]
    scores: AnyScores
    verdicts: tuple[Verdict, ...]
    quarantined: tuple[tuple[str, str], ...] = ()
    n_left_out: int = 0
    splits_from: str = "data"
    n_other_splits: int = 0
    target: str = "classes"

    @property
    def scored(self) -> str:
        """What was scored, and what was not."""
        what = "all items" if self.split == "all" else f"split {self.split}"
        what += {
            "data": "",
            "drawn": ", drawn as fit draws it",
            "none": "; the data has no splits",
        }[self.splits_from]
        left_out = [
            (self.n_left_out, "trained on, left out"),
            (len(self.quarantined), "quarantined"),
            (self.n_other_splits, "in other splits"),
        ]
        rest = "".join(f"; {count} {why}" for count, why in left_out if count)
        return f"{counted(len(self.verdicts), 'item')}: {what}{rest}"

    @property
    def confidence(self) -> Array:
        return np.array([verdict.probability for verdict in self.verdicts], np.float64)

    @property
    def is_right(self) -> Array:
        return np.array([verdict.is_right for verdict in self.verdicts])

    def to_json(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "classes": list(self.classes),
            "scores": self.scores.to_json(),
            "n_scored": len(self.verdicts),
            "n_quarantined": len(self.quarantined),
            "n_left_out": self.n_left_out,
            "n_other_splits": self.n_other_splits,
            "splits_from": self.splits_from,
            # Those of classes are written as they were before there were others.
            **({} if self.target == "classes" else {"target": self.target}),
        }

    def lines(self) -> list[str]:
        """Return the evaluation as aligned text."""
        rows = [("scored", self.scored), *self.scores.lines()]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {text}" for name, text in rows]
        if isinstance(self.scores, Scores) and len(self.classes) <= MAX_CLASSES_PRINTED:
            lines += _aligned(self._confusion(self.scores))
        if isinstance(self.scores, LabelScores):
            lines += _aligned(self.scores.table()[: MAX_LABELS_PRINTED + 1])
        return lines

    def _confusion(self, scores: Scores) -> list[tuple[str, ...]]:
        """Return the confusion matrix as text, rows the truth."""
        names = [printable(name) for name in self.classes]
        counts = zip(names, scores.confusion, strict=True)
        return [("true \\ predicted", *names), *((name, *map(str, row)) for name, row in counts)]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a table as lines of text."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [min(max(len(row[column]) for row in rows), 17) for column in range(len(rows[0]))]
    return [
        "  ".join(cell[:17].ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def evaluate_predictor(
    predictor: Predictor,
    dataset: Dataset,
    split: str,
    leave_out_trained: bool,
    reporter: Reporter,
    engine: str = "auto",
    splits_from: str = "data",
) -> Evaluation:
    """Predict the items of one split and score them.

    Parameters
    ----------
    predictor : Predictor
    dataset : Dataset
        Splits assigned; items without a label are not scored.
    split : {"test", "val", "train", "all"}
        ``"train"`` names the training score; any other refuses items the predictor learned from.
    leave_out_trained : bool
        Leave such items out, counted, instead of refusing.

    Raises
    ------
    LeakageError
        If items of the split were trained on.
    DataError
        If the split is empty, or has classes or labels that the predictor does not know.
    """
    check_split(split, leave_out_trained)
    known = _in_its_words(predictor, labelled(dataset))
    items = [item for item in known.items if split in ("all", item.split)]
    check_labels(predictor, known, items, split)
    n_all = len(items)
    if split != "train":
        items = _not_trained_on(predictor, items, leave_out_trained)
    outputs, reasons = predictor.ready(engine).outputs(items, reporter)
    good = [place for place in range(len(items)) if place not in reasons]
    return make_evaluation(
        predictor,
        split,
        [items[place] for place in good],
        outputs[good],
        quarantined=dataset.quarantined
        + tuple((items[place].key, reason) for place, reason in sorted(reasons.items())),
        n_left_out=n_all - len(items),
        splits_from=splits_from,
        n_other_splits=len(known) - n_all,
    )


def _in_its_words(predictor: Predictor, dataset: Dataset) -> Dataset:
    """Return labels as the predictor spells the classes they equal: 1.0 and True are its 1."""
    words = {name: str(name) for name in predictor.classes}
    if dataset.label_type == "str" or not words:
        return dataset
    given = [(item, as_given(item.label, dataset.label_type)) for item in dataset.items]
    return dataset.with_items(
        tuple(replace(item, label=words.get(label, item.label)) for item, label in given)
    )


def check_split(split: str, leave_out_trained: bool) -> None:
    """Raise `UsageError` unless there is such a split, and items may be left out of it."""
    if split not in SPLITS:
        raise UsageError(
            f'There is no split "{split}" to score.',
            "Items are scored by the split they are in, or all of them.",
            f"Splits: {', '.join(SPLITS)}.",
            f"Type, for example:  {option('split', 'test')}",
        )
    if split == "train" and leave_out_trained:
        raise UsageError(
            "There is no training score without the items that were trained on.",
            "Nothing would be left.",
            "The training score of all, or another split.",
            f"Leave out {option('leave_out_trained')}",
        )


def make_evaluation(
    predictor: Predictor,
    split: str,
    items: Sequence[Item],
    outputs: Array,
    quarantined: tuple[tuple[str, str], ...] = (),
    n_left_out: int = 0,
    splits_from: str = "data",
    n_other_splits: int = 0,
) -> Evaluation:
    """Return the evaluation of what a predictor puts out, one row an item: `judge_items`."""
    if not items:
        raise DataError(
            f'No item of split "{split}" is left to score.',
            f"There was none that could be used ({len(quarantined)} bad, {n_left_out} trained on).",
            "Labelled items that the predictor has not learned from.",
            f"Other data; or the training score:  {option('split', 'train')}"
            if n_left_out and not quarantined
            else "Look at the reasons with:  "
            + either("predictor.predict(items)", "cutpoint predict MODEL FILES"),
        )
    scores, verdicts = judge_items(predictor, items, outputs)
    return Evaluation(
        split,
        predictor.labels if predictor.target == "labels" else predictor.classes,
        scores,
        verdicts,
        quarantined,
        n_left_out,
        splits_from,
        n_other_splits,
        predictor.target,
    )


def _not_trained_on(predictor: Predictor, items: Sequence[Item], leave_out: bool) -> list[Item]:
    trained = [
        item for item in items if _digest(item, predictor.backbone.kind) in predictor.trained_on
    ]
    if trained and not leave_out:
        keys = ", ".join(item.key for item in trained[:3])
        raise LeakageError(
            f"{len(trained)} of the {len(items)} items to score were trained on.",
            f"The predictor was fitted on: {keys}, …",
            f"Items it has not seen; the training score only if named: {option('split', 'train')}.",
            f"Leave those items out with:  {option('leave_out_trained', True)}",
        )
    keys_out = {item.key for item in trained}
    return [item for item in items if item.key not in keys_out]


def _digest(item: Item, kind: str) -> str:
    try:
        return short_digest(digest_payload(read_payload(item), kind))
    except BadItem:
        return ""  # told as a bad item when it is predicted
