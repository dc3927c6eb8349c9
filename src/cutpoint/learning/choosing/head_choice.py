"""Which head is fitted on what was taken: compared on training rows left out of all that learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from cutpoint.base.progress import Reporter
from cutpoint.base.types import Array, Float64
from cutpoint.learning.choosing.decision import DOUBT, FEWEST, mean_interval
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.heads import Classifier, Head, Labeller, RidgeHead, spell_head
from cutpoint.learning.metrics import Interval
from cutpoint.learning.recipe import Recipe, fit_recipe
from cutpoint.learning.shared.folds import units_of

AUTO_HEADS = {
    "classes": ("ridge", "logistic", "svm", "knn", "centroid"),
    "labels": ("ridge",),
    "values": ("ridge", "svm", "knn"),
}
"""What "auto" compares: heads of vectors that need no extra, and whose training is short."""
LOSSES = {"classes": "log-loss", "labels": "log-loss a label", "values": "squared error / variance"}
_LEAST = 1e-15  # a probability of 0 that was wrong would cost infinitely much


@dataclass(frozen=True)
class ComparedHead:
    """One head among those compared.

    Attributes
    ----------
    text : str
        As it is typed.
    loss : float
        Mean over rows left out.
    gain : Interval
        How much less it loses than the prior head on the same rows; paired, 95 %, groups counted
        as one.
    """

    text: str
    loss: float
    gain: Interval


@dataclass(frozen=True)
class HeadChoice:
    """Heads compared, and which was taken.

    Attributes
    ----------
    heads : tuple of ComparedHead
        The least loss first.
    taken, prior : str
        What is fitted; what is fitted unless the rows show another to be better.
    loss : str
        What was compared: of `LOSSES`.
    n_folds, n_rows : int
    """

    heads: tuple[ComparedHead, ...]
    taken: str
    prior: str
    loss: str
    n_folds: int
    n_rows: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        figures = ", ".join(f"{each.text} {each.loss:.4f}" for each in self.heads)
        start = (
            f"Heads by {self.loss} on {self.n_rows} training rows left out in {self.n_folds} "
            f"folds: {figures}."
        )
        if self.taken != self.prior:
            gain = next(each.gain for each in self.heads if each.text == self.taken)
            return (
                f"{start} Taken: {self.taken}, shown to lose less than {self.prior}: {_of(gain)}."
            )
        others = [each for each in self.heads if each.text != self.prior]
        if not others:
            return f"{start} Taken: {self.taken}, the only one."
        best = f"{others[0].text} gains {_of(others[0].gain)}"
        return f"{start} Taken: {self.taken}; none is shown to lose less ({best})."


def compare_heads(
    task: Task, heads: Sequence[Head], taps: Sequence[str], recipe: Recipe, reporter: Reporter
) -> tuple[Head, HeadChoice]:
    """Return the head to fit, and how it was chosen.

    In each fold the recipe and every head are fitted, with all that they choose themselves, on the
    fold's training rows, and judged on the others: log-loss of calibrated probabilities, or squared
    error. A ridge head, or the first if there is none, is kept unless another is shown to lose less
    by a one-sided bound on the paired difference that allows for the number of heads.

    Parameters
    ----------
    task : Task
        The training rows.
    heads : sequence of Head
        Unfitted, of vectors.
    taps : sequence of str
    recipe : Recipe
        What makes them one matrix.
    """
    losses = _losses(task, heads, taps, recipe, reporter)
    judged = np.isfinite(losses).all(axis=0)  # else its class was not there to be learned
    losses = losses[:, judged]
    groups = None if task.groups is None else task.groups[judged]
    base = next((n for n, head in enumerate(heads) if head.kind == RidgeHead.kind), 0)
    gains = losses[base] - losses
    means, taken = losses.mean(axis=1), _taken(gains, groups, base)
    texts = [spell_head(head) for head in heads]
    compared = [
        ComparedHead(texts[n], float(means[n]), mean_interval(gains[n], groups, DOUBT))
        for n in np.argsort(means, kind="stable")
    ]
    loss, n_folds = LOSSES[task.targets.kind], len(task.folds)
    return heads[taken], HeadChoice(
        tuple(compared), texts[taken], texts[base], loss, n_folds, int(judged.sum())
    )


def _taken(gains: Float64, groups: Array | None, base: int) -> int:
    """Return which head is taken: `base`, or of those shown to gain on it the one that gains most.

    Parameters
    ----------
    gains : array of shape (n_heads, n_rows)
        What each loses less than `base`.
    """
    if len(np.unique(units_of(gains.shape[1], groups))) < FEWEST:
        return base
    doubt = 2 * DOUBT / max(len(gains) - 1, 1)
    better = [n for n, gain in enumerate(gains) if mean_interval(gain, groups, doubt).low > 0]
    return max(better, key=lambda n: float(gains[n].mean()), default=base)


def fit_head(head: Head, X: Array, task: Task) -> Head:
    """Fit a head on the rows of a task, whose matrix is X; return it."""
    if isinstance(head, Classifier):
        labels = np.array(task.features.labels[task.rows].tolist())  # of the type they came in
        return head.fit(X, labels, groups=task.groups)
    Y = task.targets.Y if isinstance(head, Labeller) else task.targets.Y[:, 0]
    head.fit(X, Y, groups=task.groups)
    if isinstance(head, Labeller):
        head.labels_ = np.array(task.targets.names)
    return head


def _losses(
    task: Task, heads: Sequence[Head], taps: Sequence[str], recipe: Recipe, reporter: Reporter
) -> Float64:
    """Return the loss of each row left out, (n_heads, n_rows); NaN where it can't be judged."""
    found = np.full((len(heads), len(task.rows)), np.nan)
    with reporter.bar("Compare heads in folds", len(task.folds) * len(heads), "fits") as advance:
        for learn, judge in task.folds:
            part = _learnable(task.part(learn))
            fitted, X = fit_recipe(recipe, task.features, taps, part.rows)
            rows = fitted.of(task.features, task.rows[judge])
            for n, head in enumerate(heads):
                one = fit_head(clone(head), X, part)
                found[n, judge] = _LOSSES[task.targets.kind](one, rows, task, judge)
                advance(1)
    return found


def _learnable(part: Task) -> Task:
    """Return a fold's task without labels that all of its rows have, or none."""
    if part.targets.kind != "labels":
        return part
    varied = np.ptp(part.targets.Y, axis=0) > 0
    names = tuple(n for n, v in zip(part.targets.names, varied, strict=True) if v)
    Y = part.targets.Y[:, varied]
    return replace(part, targets=replace(part.targets, Y=Y, truth=Y, names=names))


def _of_classes(head: Any, X: Array, task: Task, judge: Array) -> Float64:
    places = {str(name): place for place, name in enumerate(head.classes_)}
    names = [task.targets.names[each] for each in task.targets.truth[judge]]
    likely = head.predict_proba(X)
    return np.array(
        [
            -np.log(max(row[places[name]], _LEAST)) if name in places else np.nan
            for row, name in zip(likely, names, strict=True)
        ]
    )


def _of_labels(head: Any, X: Array, task: Task, judge: Array) -> Float64:
    columns = [task.targets.names.index(name) for name in head.labels_]
    has = task.targets.Y[judge][:, columns] == 1
    likely = np.clip(head.predict_proba(X), _LEAST, 1 - _LEAST)
    return np.asarray(-np.where(has, np.log(likely), np.log1p(-likely)).mean(axis=1))


def _of_values(head: Any, X: Array, task: Task, judge: Array) -> Float64:
    errors = np.square(head.outputs(X)[:, 0] - task.targets.Y[judge, 0])
    return np.asarray(errors / task.targets.Y[:, 0].var())


_LOSSES: dict[str, Callable[[Any, Array, Task, Array], Float64]] = {
    "classes": _of_classes,
    "labels": _of_labels,
    "values": _of_values,
}


def _of(gain: Interval) -> str:
    return f"{gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
