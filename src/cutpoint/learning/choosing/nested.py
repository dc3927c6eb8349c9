"""Judge the whole choice on rows that took no part in it."""

from __future__ import annotations

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.learning.choosing.sets import Choice, judge_in_folds
from cutpoint.learning.choosing.strategies import judge_all
from cutpoint.learning.choosing.task import Task, interval_of, outcomes_of
from cutpoint.learning.metrics import Interval
from cutpoint.learning.recipe import parse_recipe


def check_nested(task: Task) -> None:
    """Raise `UsageError` if a fold leaves too few rows to choose on."""
    for learn, _ in task.folds:
        n_classes = len(np.unique(task.targets.truth[learn]))
        if len(learn) < 2 or (task.targets.kind == "classes" and n_classes < 2):
            raise UsageError(
                f"nested can't be had of {len(task.rows)} training rows.",
                f"A fold leaves {len(learn)} of {n_classes} classes to choose on.",
                "Two rows or more of each class.",
                "Leave out --nested",
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
