"""What a predictor says of one item: a class, labels, or a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cutpoint.base.types import Array
from cutpoint.items.reading import Label
from cutpoint.learning.heads import Classifier, Head, Labeller

NAN = float("nan")


@dataclass(frozen=True)
class Prediction:
    """What the predictor says of one item.

    Attributes
    ----------
    key : str
    label : str, int, bool, float or None
        In the type that labels came in; None if the item is bad.
    probability : float
        That of the label, calibrated; NaN if the item is bad.
    reason : str
        Why the item is bad; empty otherwise.
    """

    key: str
    label: Label | None
    probability: float
    reason: str = ""

    @property
    def told(self) -> str:
        """What is said, in one line."""
        return self.reason or f"{self.label}  {self.probability:.3f}"

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON types; JSON has no NaN: a bad item has no probability."""
        return asdict(self) | ({"probability": None} if self.reason else {})


@dataclass(frozen=True)
class LabelsPrediction:
    """Which of several labels the predictor gives one item.

    Attributes
    ----------
    key : str
    labels : tuple of str
        Those whose probability reaches their threshold; none if the item is bad.
    probabilities : mapping of str to float
        That of every label, calibrated; empty if the item is bad.
    reason : str
        Why the item is bad; empty otherwise.
    """

    key: str
    labels: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def told(self) -> str:
        """What is said, in one line: the labels given, each with its probability."""
        given = ", ".join(f"{name} {self.probabilities[name]:.3f}" for name in self.labels)
        return self.reason or given or "–"

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class ValuePrediction:
    """The value that the predictor tells of one item.

    Attributes
    ----------
    key : str
    value : float
        NaN if the item is bad.
    low, high : float
        Around it, the interval that held 90 % of the training rows when they were left out
        (conformal, of one width for all items); NaN if the item is bad, or it isn't known.
    reason : str
        Why the item is bad; empty otherwise.
    """

    key: str
    value: float = NAN
    low: float = NAN
    high: float = NAN
    reason: str = ""

    @property
    def told(self) -> str:
        """What is said, in one line."""
        interval = "" if np.isnan(self.low) else f"  [{self.low:.6g}, {self.high:.6g}]"
        return self.reason or f"{self.value:.6g}{interval}"

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON types; JSON has no NaN: what is not known is null."""
        fields = asdict(self)
        return {n: None if isinstance(v, float) and np.isnan(v) else v for n, v in fields.items()}


AnyPrediction = Prediction | LabelsPrediction | ValuePrediction


def prediction_of(
    key: str, row: Array, head: Head, margin: float | None = None, reason: str = ""
) -> AnyPrediction:
    """Return what a head's outputs of one item say.

    Parameters
    ----------
    row : float64 array of shape (n_outputs,)
        Probabilities of classes or labels, or a value.
    margin : float, optional
        Half the width of the interval of a value.
    """
    if isinstance(head, Classifier):
        column = 0 if reason else int(row.argmax())
        label = None if reason else head.classes_[[column]].tolist()[0]
        return Prediction(key, label, NAN if reason else float(row[column]), reason)
    if isinstance(head, Labeller):
        return LabelsPrediction(key, reason=reason) if reason else _labels(key, row, head)
    value, half = float(row[0]), NAN if margin is None else margin
    return ValuePrediction(key, value, value - half, value + half, reason)


def _labels(key: str, row: Sequence[float] | Array, head: Labeller) -> LabelsPrediction:
    found = dict(zip(map(str, head.labels_), map(float, row), strict=True))
    given = zip(found, np.asarray(row) >= head.thresholds_, strict=True)
    return LabelsPrediction(key, tuple(name for name, there in given if there), found)
