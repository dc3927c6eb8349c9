"""Judge the whole choice on rows that took no part in it."""

from __future__ import annotations

import numpy as np

from cutpoint.choosing.strategies import fit_and_score, judge_all
from cutpoint.choosing.task import Task, interval_of, outcomes_of
from cutpoint.metrics import Interval
from cutpoint.progress import Reporter
from cutpoint.recipe import parse_recipe


def nested_score(task: Task, reporter: Reporter) -> Interval:
    """Choose anew in each fold without its rows, then score them with what was chosen.

    The best of many candidates is also the luckiest, so its own figure flatters; this one does not.
    """
    scores = np.zeros(task.targets.Y.shape)
    quiet = Reporter(quiet=True)
    with reporter.bar("Choose anew in folds", len(task.folds), "folds") as advance:
        for learn, others in task.folds:
            taken = judge_all(task.part(learn), quiet).taken
            recipe = parse_recipe(taken.recipe)
            scores[others] = fit_and_score(task, learn, others, taken.taps, recipe).scores
            advance(1)
    return interval_of(task.targets, outcomes_of(task.targets, scores))
