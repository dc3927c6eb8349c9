"""What the test rows say of the choice, afterwards; nothing is chosen by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp
from sklearn.linear_model import Ridge

from cutpoint.base.types import Array
from cutpoint.items.reading import values_of
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.ranking import METRICS, Ranking
from cutpoint.learning.choosing.ranking_task import Task, zeros_and_ones
from cutpoint.learning.metrics import (
    Interval,
    bootstrap,
    holm,
    mcnemar,
    paired_bootstrap,
    r2_interval,
    wilson,
)
from cutpoint.learning.recipe import fit_recipe, parse_recipe


@dataclass(frozen=True)
class Comparison:
    """What was taken against another candidate, on the same rows.

    Attributes
    ----------
    name, tap : str
        Why it is of interest, and which candidate it is.
    score : Interval
        What the other candidate scores; 95 %, Wilson of classes, bootstrap otherwise.
    gain : Interval
        What was taken scores so much above it; paired bootstrap, 95 %.
    p : float or None
        Exact McNemar test of classes, paired t-test otherwise; Holm's correction over the
        comparisons tested. None for the oracle, which these rows picked, and for what was taken
        itself.
    """

    name: str
    tap: str
    score: Interval
    gain: Interval
    p: float | None


@dataclass(frozen=True)
class Hindsight:
    """Scores of the candidates on rows that took no part in choosing.

    Attributes
    ----------
    split : str
    n_items : int
    taken : Interval
    comparisons : tuple of Comparison
        With the last layer, the prior where something else was taken, the best on training rows,
        and the oracle: the best on these rows, which nobody can know beforehand.
    metric : str
        Accuracy, labels right, or R².
    """

    split: str
    n_items: int
    taken: Interval
    comparisons: tuple[Comparison, ...]
    metric: str = METRICS["classes"]

    @property
    def how(self) -> tuple[str, str]:
        """How the intervals of scores, and p, were found."""
        is_share = self.metric == METRICS["classes"]
        return ("Wilson", "exact McNemar test") if is_share else ("bootstrap", "paired t-test")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the comparisons as aligned text."""
        head = (
            f"Looking back at the {self.n_items} rows of split {self.split}, ridge heads; "
            "nothing is chosen by it:"
        )
        rows = [("", f"{self.metric} [95 %]", "gain of what was taken", "p"),
                ("taken", str(self.taken), "", "")]  # fmt: skip
        rows += [
            (
                each.name,
                str(each.score),
                _signed(each.gain),
                "" if each.p is None else f"{each.p:.3f}",
            )
            for each in self.comparisons
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return [head, *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)]


def look_back(task: Task, ranking: Ranking, rows: Array, split: str) -> Hindsight:
    """Fit every candidate on the training rows and score it on `rows`.

    Parameters
    ----------
    task : Task
    ranking : Ranking
        That of the same task.
    rows : int array
        Rows that took no part, with labels, each of a class that did.
    split : str
        Their name.
    """
    right = [outcomes_on(task, each, rows) for each in ranking.candidates]
    kind, values = task.targets.kind, truth_of(task, rows)
    unit = float(values.var()) if kind == "values" else 1.0
    candidates = ranking.candidates
    taken = candidates.index(ranking.taken)
    places = {} if ranking.last is None else {"last tap": candidates.index(ranking.last)}
    if ranking.prior is not ranking.taken and ranking.prior is not ranking.last:
        places["prior"] = candidates.index(ranking.prior)
    places["least error on training rows"] = 0
    places["oracle"] = int(np.argmax([each.sum() for each in right]))
    # The oracle is picked on these very rows: no test of it means anything.
    tested = [n for n, place in places.items() if n != "oracle" and place != taken]
    tests = [_p_value(right[taken], right[places[name]]) for name in tested]
    p_values = dict(zip(tested, holm(tests).tolist(), strict=True)) if tested else {}
    comparisons = tuple(
        Comparison(
            name=name,
            tap=candidates[place].tap,
            score=_score(right[place], kind, values),
            gain=paired_bootstrap(right[taken] / unit, right[place] / unit),
            p=p_values.get(name),
        )
        for name, place in places.items()
    )
    score = _score(right[taken], kind, values)
    return Hindsight(split, len(rows), score, comparisons, METRICS[kind])


def outcomes_on(task: Task, candidate: Candidate, rows: Array) -> Array:
    """Fit a candidate with its own λ on the training rows; say what each of `rows` adds.

    Whether its class is right; the share of its labels that are; minus the squared error.
    """
    features = task.features
    recipe, X = fit_recipe(parse_recipe(candidate.recipe), features, candidate.taps, task.rows)
    head = Ridge(candidate.alpha, solver="cholesky").fit(X.astype(np.float64), task.targets.Y)
    scores = head.predict(recipe.of(features, rows).astype(np.float64))
    scores, truth = scores.reshape(len(rows), -1), truth_of(task, rows)
    if task.targets.kind == "values":
        return np.asarray(-np.square(scores[:, 0] - truth))
    seen = replace(task.targets, truth=truth).right(scores)
    assert seen is not None, "values alone are never simply right"
    return seen


def truth_of(task: Task, rows: Array) -> Array:
    """Return the class numbers of rows, (n_items,); zeros and ones of labels; or values."""
    labels, targets = task.features.labels[rows], task.targets
    if targets.kind == "values":
        return values_of(task.features.name, labels)
    if targets.kind == "labels":
        return zeros_and_ones(labels, targets.names)
    return np.array([targets.names.index(str(label)) for label in labels])


def _p_value(one: Array, other: Array) -> float:
    """Return how probable so large a difference is if neither is better."""
    if one.dtype == bool:
        return mcnemar(one, other).p_value
    gains = one - other
    return float(ttest_1samp(gains, 0).pvalue) if np.ptp(gains) > 0 else 1.0


def _score(outcomes: Array, kind: str, values: Array) -> Interval:
    if kind == "classes":
        return wilson(int(outcomes.sum()), len(outcomes))
    return bootstrap(outcomes) if kind == "labels" else r2_interval(-outcomes, values)


def _signed(gain: Interval) -> str:
    return f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
