"""Rank the taps of what was extracted; judge the choice itself on rows that took no part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.tongue import option
from cutpoint.features.store import Features
from cutpoint.items.reading import tell_kind
from cutpoint.learning.choosing.judge_taps import Choice, judge_in_folds
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import (
    ChooseOptions,
    Task,
    interval_of,
    outcomes_of,
    permuted,
    training_rows,
)
from cutpoint.learning.choosing.strategies import judge_all
from cutpoint.learning.metrics import Interval
from cutpoint.learning.recipe import parse_recipe


def rank(
    features: Features, reporter: Reporter | None = None, options: ChooseOptions | None = None
) -> Ranking:
    """Rank the pooled taps of `features` on its training rows.

    One eigendecomposition a candidate gives the leave-one-out predictions of every λ; a few
    candidates are in memory at once, one a core, whatever their number. Rows of one group are left
    out together. If the recipe learns anything itself, it is fitted anew without the rows that are
    left out, in folds: no row is judged by what it taught.

    Raises
    ------
    DataError
        If there are no training rows with labels of two classes.
    UsageError
        If no tap is pooled to vectors, or a strategy is unknown.
    """
    options, reporter = options or ChooseOptions(), reporter or Reporter(quiet=True)
    if options.permute is not None:
        features = permuted(features, options.permute)
    kind = tell_kind(features.labels[training_rows(features)], options.kind)
    if kind.told:
        reporter.say(kind.told)
    task = Task.of(features, replace(options, kind=kind.name))
    if options.nested or options.permute is not None:
        check_nested(task)
    ranking = judge_all(task, reporter)
    if not (options.nested or options.permute is not None):
        return ranking
    return replace(
        ranking, nested=nested_score(task, reporter), is_permuted=options.permute is not None
    )


def check_nested(task: Task) -> None:
    """Raise `UsageError` if a fold leaves too few rows to choose on."""
    for learn, _ in task.folds:
        n_classes = len(np.unique(task.targets.truth[learn]))
        if len(learn) < 2 or (task.targets.kind == "classes" and n_classes < 2):
            raise UsageError(
                f"nested can't be had of {len(task.rows)} training rows.",
                f"A fold leaves {len(learn)} of {n_classes} classes to choose on.",
                "Two rows or more of each class.",
                f"Leave out {option('nested')}",
            )


def nested_score(task: Task, reporter: Reporter) -> Interval:
    """Choose anew in each fold without its rows, then score them with what was chosen.

    The best of many candidates is also the luckiest, so its own figure flatters; this one does not.
    """
    quiet = Reporter(quiet=True)
    with reporter.bar("Choose anew in folds", len(task.folds), "folds") as advance:

        def choose(part: Task) -> Choice:
            taken = judge_all(part, quiet).taken
            advance(1)
            return taken.taps, parse_recipe(taken.recipe)

        found = judge_in_folds(task, choose)
    return interval_of(task, outcomes_of(task, found.scores) * task.row_weights)
