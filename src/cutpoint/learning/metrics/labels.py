"""How good several labels an item are, over all and label by label."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from cutpoint.base.types import Array, Float64
from cutpoint.learning.metrics.intervals import Interval
from cutpoint.learning.metrics.resampling import N_DRAWS, drawn_means

_LEAST = 1e-15  # a probability of 0 or 1 that is wrong would cost infinitely much


@dataclass(frozen=True)
class LabelScore:
    """Scores of one label.

    Attributes
    ----------
    name : str
    n_with : int
        Items that have it.
    threshold : float
        Probability from which it is given.
    precision, recall, f1 : float
        0 where nothing can be divided, as scikit-learn's ``zero_division=0``.
    average_precision : float or None
        None if no item has it.
    """

    name: str
    n_with: int
    threshold: float
    precision: float
    recall: float
    f1: float
    average_precision: float | None


@dataclass(frozen=True)
class LabelScores:
    """Scores of several labels an item.

    Attributes
    ----------
    n_items : int
    micro_f1 : Interval
        All items and labels in one; bootstrap, 95 %.
    macro_f1 : Interval
        Mean over labels that some item has; bootstrap, 95 %.
    mean_average_precision : float
        Mean over the same; what needs no threshold.
    exact : float
        Share of items with all labels right.
    log_loss : float
        Mean over items and labels.
    labels : tuple of LabelScore
    """

    n_items: int
    micro_f1: Interval
    macro_f1: Interval
    mean_average_precision: float
    exact: float
    log_loss: float
    labels: tuple[LabelScore, ...]

    @property
    def headline(self) -> tuple[str, Interval, str]:
        """Name of the first figure, the figure, and how its interval was found."""
        return "micro F1", self.micro_f1, "bootstrap"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return name and text of each figure."""
        return [
            ("micro F1", f"{self.micro_f1} (95 %, bootstrap, n={self.n_items})"),
            ("macro F1", f"{self.macro_f1}"),
            ("mean average precision", f"{self.mean_average_precision:.3f}"),
            ("all labels right", f"{self.exact:.3f}"),
            ("log-loss", f"{self.log_loss:.3f}"),
        ]

    def table(self) -> list[tuple[str, ...]]:
        """Return a header, and a row for each label, as text."""
        header = ("label", "items", "threshold", "precision", "recall", "F1", "average precision")
        rows = [
            (
                each.name,
                str(each.n_with),
                *(f"{v:.3f}" for v in (each.threshold, each.precision, each.recall, each.f1)),
                "–" if each.average_precision is None else f"{each.average_precision:.3f}",
            )
            for each in self.labels
        ]
        return [header, *rows]


def score_labels(
    probabilities: Array, truth: Array, thresholds: Array, names: tuple[str, ...]
) -> LabelScores:
    """Return the scores of the probabilities of labels.

    Parameters
    ----------
    probabilities, truth : arrays of shape (n_items, n_labels)
        0–1; zeros and ones, of which one 1 or more.
    thresholds : array of shape (n_labels,)
        From which a label is given; from training rows.
    names : tuple of str
    """
    given, has = probabilities >= thresholds, np.asarray(truth) == 1
    seen = has.any(axis=0)
    # F1 = 2 right / (given + there): sums over items, so means of items drawn again give it.
    right = (given & has).T.astype(np.float64)
    counted = given.T.astype(np.float64) + has.T
    means = drawn_means(np.concatenate([right, counted]), N_DRAWS, None, 0)
    whole = np.concatenate([right, counted]).mean(axis=1)[None]
    likely = np.clip(probabilities, _LEAST, 1 - _LEAST)
    labels = tuple(
        _label(name, probabilities[:, c], has[:, c], float(thresholds[c]))
        for c, name in enumerate(names)
    )
    found = [each.average_precision for each in labels if each.average_precision is not None]
    return LabelScores(
        n_items=len(has),
        micro_f1=_interval(_micro, whole, means),
        macro_f1=_interval(lambda each: _f1(each)[:, seen].mean(axis=1), whole, means),
        mean_average_precision=float(np.mean(found)),
        exact=float((given == has).all(axis=1).mean()),
        log_loss=float(-np.where(has, np.log(likely), np.log1p(-likely)).mean()),
        labels=labels,
    )


def _label(name: str, likely: Array, has: Array, threshold: float) -> LabelScore:
    given = likely >= threshold
    right = int((given & has).sum())
    n_given, n_with = int(given.sum()), int(has.sum())
    return LabelScore(
        name,
        n_with,
        threshold,
        precision=right / max(n_given, 1),
        recall=right / max(n_with, 1),
        f1=2 * right / max(n_given + n_with, 1),
        average_precision=float(average_precision_score(has, likely)) if n_with else None,
    )


def _f1(means: Float64) -> Float64:
    """Return F1 of each label, 0 where none is given and none there."""
    right, counted = np.split(means, 2, axis=1)
    return np.asarray(2 * right / np.where(counted > 0, counted, 1))


def _micro(means: Float64) -> Float64:
    right, counted = np.split(means, 2, axis=1)
    sums = counted.sum(axis=1)
    return np.asarray(2 * right.sum(axis=1) / np.where(sums > 0, sums, 1))


def _interval(of: Any, whole: Float64, drawn: Float64) -> Interval:
    low, high = np.quantile(of(drawn), [0.025, 0.975])
    return Interval(float(of(whole)[0]), float(low), float(high))
