"""Judge the whole choice on rows that took no part in it."""

from __future__ import annotations

from cutpoint.choosing.sets import Choice, judge_in_folds
from cutpoint.choosing.strategies import judge_all
from cutpoint.choosing.task import Task, interval_of, outcomes_of
from cutpoint.metrics import Interval
from cutpoint.progress import Reporter
from cutpoint.recipe import parse_recipe


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
    return interval_of(task, outcomes_of(task.targets, found.scores) * task.row_weights)
