"""Rank what was extracted."""

from __future__ import annotations

from dataclasses import replace

from cutpoint.base.progress import Reporter
from cutpoint.features.store import Features
from cutpoint.learning.choosing.nested import check_nested, nested_score
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.strategies import judge_all
from cutpoint.learning.choosing.task import ChooseOptions, Task, permuted


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
    task = Task.of(features, options)
    if options.nested or options.permute is not None:
        check_nested(task)
    ranking = judge_all(task, reporter)
    if not (options.nested or options.permute is not None):
        return ranking
    return replace(
        ranking, nested=nested_score(task, reporter), is_permuted=options.permute is not None
    )
