"""What the test rows say of the choice, afterwards; nothing is chosen by it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from cutpoint.base.types import Array
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.metrics import Interval, holm, mcnemar, paired_bootstrap, wilson
from cutpoint.learning.recipe import fit_recipe, parse_recipe


@dataclass(frozen=True)
class Comparison:
    """What was taken against another candidate, on the same rows.

    Attributes
    ----------
    name, tap : str
        Why it is of interest, and which candidate it is.
    score : Interval
        Of the other candidate; Wilson, 95 %.
    gain : Interval
        Of what was taken over it; paired bootstrap, 95 %.
    p : float or None
        Exact McNemar test, Holm's correction over the comparisons tested; None for the oracle,
        which these rows picked, and for what was taken itself.
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
    """

    split: str
    n_items: int
    taken: Interval
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the comparisons as aligned text."""
        head = (
            f"Looking back at the {self.n_items} rows of split {self.split}, ridge heads; "
            "nothing is chosen by it:"
        )
        rows = [("", "accuracy [95 %]", "gain of what was taken", "p"),
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
        Of classes.
    ranking : Ranking
        Of that task.
    rows : int array
        Rows that took no part, each of a class that did.
    split : str
        Their name.
    """
    right = [outcomes_on(task, each, rows) for each in ranking.candidates]
    candidates = ranking.candidates
    taken = candidates.index(ranking.taken)
    places = {} if ranking.last is None else {"last tap": candidates.index(ranking.last)}
    if ranking.prior is not ranking.taken and ranking.prior is not ranking.last:
        places["prior"] = candidates.index(ranking.prior)
    places["least error on training rows"] = 0
    places["oracle"] = int(np.argmax([each.sum() for each in right]))
    # The oracle is picked on these very rows: no test of it means anything.
    tested = [n for n, place in places.items() if n != "oracle" and place != taken]
    tests = [mcnemar(right[taken], right[places[name]]).p_value for name in tested]
    p_values = dict(zip(tested, holm(tests).tolist(), strict=True)) if tested else {}
    comparisons = tuple(
        Comparison(
            name=name,
            tap=candidates[place].tap,
            score=_score(right[place]),
            gain=paired_bootstrap(right[taken], right[place]),
            p=p_values.get(name),
        )
        for name, place in places.items()
    )
    return Hindsight(split, len(rows), _score(right[taken]), comparisons)


def outcomes_on(task: Task, candidate: Candidate, rows: Array) -> Array:
    """Fit a candidate with its own λ on the training rows; say which of `rows` it gets right."""
    features, names = task.features, task.targets.names
    recipe, X = fit_recipe(parse_recipe(candidate.recipe), features, candidate.taps, task.rows)
    head = Ridge(candidate.alpha, solver="cholesky").fit(X.astype(np.float64), task.targets.Y)
    scores = head.predict(recipe.of(features, rows).astype(np.float64))
    truth = np.array([names.index(str(label)) for label in features.labels[rows]])
    is_right: Array = scores.argmax(axis=1) == truth
    return is_right


def _score(right: Array) -> Interval:
    return wilson(int(right.sum()), len(right))


def _signed(gain: Interval) -> str:
    return f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
