"""Rank layer × pooling × recipe by accuracy on training rows each was left out for."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cutpoint.choosing.folds import make_folds
from cutpoint.errors import DataError, UsageError
from cutpoint.gram import Spectrum, alpha_grid, one_hot
from cutpoint.heads import RidgeHead
from cutpoint.heads.ridge import best_alpha
from cutpoint.metrics import Interval, wilson
from cutpoint.progress import Reporter
from cutpoint.recipe import Recipe, fit_recipe
from cutpoint.spec import TapSpec
from cutpoint.store import Features
from cutpoint.types import Array

N_ALPHAS = 20


@dataclass(frozen=True)
class Candidate:
    """One layer with one pooling, or several made one, judged on the training rows alone.

    Attributes
    ----------
    taps : tuple of str
        ``"layer/pool"``; several where a recipe makes them one.
    width : int
        Features the head sees.
    alpha : float
        λ of the smallest leave-one-out squared error.
    loo_accuracy : Interval
        Of rows left out of all that was fitted; Wilson, 95 %.
    loo_mse : float
    """

    taps: tuple[str, ...]
    width: int
    alpha: float
    loo_accuracy: Interval
    loo_mse: float

    @property
    def tap(self) -> str:
        """The tap, or a name for several."""
        first, *rest = self.taps
        return first if not rest else f"{len(self.taps)} taps, {first} … {rest[-1]}"


@dataclass(frozen=True)
class Ranking:
    """Candidates, the most accurate first; equal accuracies by squared error.

    Attributes
    ----------
    candidates : tuple of Candidate
    n_train, n_alphas : int
    is_grouped : bool
        Whether rows of one group were left out together.
    recipe : str
        What all candidates went through; empty if nothing.
    n_folds : int
        In how many folds rows were left out; 0 if one by one, exactly.
    """

    candidates: tuple[Candidate, ...]
    n_train: int
    n_alphas: int
    is_grouped: bool
    recipe: str = ""
    n_folds: int = 0

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def n_configurations(self) -> int:
        """How many configurations were tried: candidates × λ."""
        return len(self.candidates) * self.n_alphas

    @property
    def tied(self) -> tuple[Candidate, ...]:
        """The candidates inside the best one's interval: the data can't tell them apart."""
        low = self.best.loo_accuracy.low
        return tuple(each for each in self.candidates if each.loo_accuracy.value >= low)

    @property
    def how(self) -> str:
        """How rows were left out, ``"LOO"`` or ``"5-fold"``."""
        return f"{self.n_folds}-fold" if self.n_folds else "LOO"

    def verdict(self) -> str:
        """Say what was chosen and how sure that is."""
        tried = (
            f"{_count(len(self.candidates), 'candidate')} × {self.n_alphas} λ = "
            f"{self.n_configurations} "
            f"configurations tried on {self.n_train} training rows"
        )
        others = len(self.tied) - 1
        if len(self.candidates) == 1:
            return f"{tried}. Taken: {self.best.tap}, the only one."
        if others:
            return (
                f"{tried}. Taken: {self.best.tap}, the first by accuracy; inside its interval "
                f"there {'is' if others == 1 else 'are'} {others} more, so no winner is named."
            )
        return f"{tried}. Taken: {self.best.tap}; no other lies inside its interval."

    def to_json(self) -> dict[str, Any]:
        candidates = [{**asdict(each), "tap": each.tap} for each in self.candidates]
        fields = {**asdict(self), "candidates": candidates, "how": self.how}
        return {**fields, "taken": self.best.tap, "verdict": self.verdict()}

    def lines(self, at_most: int | None = None) -> list[str]:
        """Return the table as aligned text; ``=`` marks what the best can't be told from."""
        rows = [_cells(each, each is self.best, each in self.tied) for each in self.candidates]
        header = tuple(cell.replace("LOO", self.how) for cell in _HEADER)
        shown = [header, *rows[:at_most]]
        widths = [max(len(row[column]) for row in shown) for column in range(len(header))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]
        left_out = len(rows) + 1 - len(shown)
        return [*lines, f"   … and {left_out} more"] if left_out else lines

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *textwrap.wrap(self.verdict(), 98)])


_HEADER = ("", "layer", "pool", "width", "λ", "LOO accuracy [95 %]", "LOO error²")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _cells(candidate: Candidate, is_best: bool, is_tied: bool) -> tuple[str, ...]:
    tap = TapSpec.from_name(candidate.taps[0])
    if len(candidate.taps) > 1:
        tap = TapSpec(
            f"{len(candidate.taps)} taps to {TapSpec.from_name(candidate.taps[-1]).layer}", ""
        )
    mark = "→" if is_best else ("=" if is_tied else "")
    figures = (f"{candidate.alpha:.3g}", str(candidate.loo_accuracy), f"{candidate.loo_mse:.4f}")
    return (mark, tap.layer, tap.pool, str(candidate.width), *figures)


def rank(
    features: Features,
    reporter: Reporter | None = None,
    recipe: Recipe | None = None,
    taps: Sequence[str] | None = None,
) -> Ranking:
    """Rank every pooled tap of `features` on its training rows.

    One eigendecomposition a candidate gives the leave-one-out predictions of every λ; candidates
    are read one at a time, so memory does not grow with their number. Rows of one group are left
    out together. If the recipe learns anything itself, it is fitted anew without the rows that are
    left out, in folds: no row is judged by what it taught.

    Parameters
    ----------
    taps : sequence of str, optional
        Which to judge; all that are pooled to vectors by default.

    Raises
    ------
    DataError
        If there are no training rows with labels of two classes.
    UsageError
        If no tap is pooled to vectors.
    """
    rows = features.rows_of("train")
    labels = features.labels[rows]
    _check_labels(features, labels)
    classes, truth = np.unique(labels.astype(str), return_inverse=True)
    targets = one_hot(truth, range(len(classes)))
    groups = features.group_numbers(rows)
    taps = taps or [tap.name for tap in features.spec.taps if _is_vector(features, tap)]
    if not taps:
        raise UsageError(
            f'A ranking of the taps of "{features.name}" was asked for.',
            "All of them hold whole activations or matrices (pools none, grid and gram).",
            "Taps pooled to vectors.",
            "Extract with:  --pool gap --pool gmp",
        )
    recipe = recipe or Recipe()
    task = _Task(features, rows, truth, targets, groups, recipe)
    sets = recipe.candidates(taps)
    found = []
    with (reporter or Reporter(quiet=True)).bar("Choose", len(sets), "candidates") as advance:
        for each in sets:
            found.append(
                _judge_exactly(task, each) if task.is_exact else _judge_in_folds(task, each)
            )
            advance(1)
    found.sort(key=lambda each: (-each.loo_accuracy.value, each.loo_mse))
    n_folds = 0 if task.is_exact else len(task.folds)
    grouped = groups is not None
    return Ranking(tuple(found), len(rows), N_ALPHAS, grouped, str(recipe), n_folds)


@dataclass(frozen=True)
class _Task:
    """What all candidates are judged on."""

    features: Features
    rows: Array
    truth: Array
    targets: Array
    groups: Array | None
    recipe: Recipe

    @property
    def is_exact(self) -> bool:
        return self.recipe.is_stateless

    @cached_property
    def folds(self) -> list[tuple[Array, Array]]:
        """Places in `rows` to learn from and to judge."""
        return make_folds(self.truth, self.groups)


def _is_vector(features: Features, tap: TapSpec) -> bool:
    """Say whether a tap gives one vector an item; a whole activation may be one, or a map."""
    name = tap.pool.partition("(")[0]
    return name not in ("none", "grid", "gram") or features.X(tap.name, np.array([0])).ndim == 2


def _judge_exactly(task: _Task, taps: tuple[str, ...]) -> Candidate:
    X = fit_recipe(task.recipe, task.features, taps, task.rows)[1]
    spectrum = Spectrum(X)
    alphas = alpha_grid(spectrum, N_ALPHAS)
    alpha, scores, error = best_alpha(spectrum, task.targets, alphas, task.groups)
    n_right = int((scores.argmax(axis=1) == task.truth).sum())
    return Candidate(taps, X.shape[1], alpha, wilson(n_right, len(X)), error)


def _judge_in_folds(task: _Task, taps: tuple[str, ...]) -> Candidate:
    """Fit recipe, λ and head on each fold's training rows, judge its others."""
    scores = np.zeros(task.targets.shape)
    alphas = []
    for learn, judge in task.folds:
        recipe, X = fit_recipe(task.recipe, task.features, taps, task.rows[learn])
        groups = None if task.groups is None else task.groups[learn]
        head = RidgeHead().fit(X, task.truth[learn], groups)
        alphas.append(head.alpha_)
        others = recipe.of(task.features, task.rows[judge])
        scores[judge[:, None], head.classes_] = head.class_scores(others)
    n_right = int((scores.argmax(axis=1) == task.truth).sum())
    error = float(((scores - task.targets) ** 2).mean())
    return Candidate(
        taps, X.shape[1], float(np.median(alphas)), wilson(n_right, len(scores)), error
    )


def _check_labels(features: Features, labels: Array) -> None:
    known = {label for label in labels if label is not None}
    if len(known) < 2 or any(label is None for label in labels):
        raise DataError(
            f'A ranking of the taps of "{features.name}" was asked for.',
            f"Its {len(labels)} training rows have {len(known)} classes.",
            "Training rows (split train) that all have labels, of two classes or more.",
            "Extract from class folders or a manifest with the column `label`.",
        )
