"""Which rate, how many epochs, how far from the start: by rows left out of the training rows.

In each fold the head is fitted anew and the network is tuned anew, both on the fold's rows alone.
Among settings as good as the best within one standard error the smallest change is taken; the start
itself is among the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cutpoint.base.contracts import Trainer
from cutpoint.base.types import Array, Float64
from cutpoint.learning.finetune.checkpoint import Checkpoint
from cutpoint.learning.finetune.loop import Plan, Ran, between, run, scores_of
from cutpoint.learning.finetune.losses import LOSSES, SAID, right
from cutpoint.learning.finetune.rows import Rows
from cutpoint.learning.metrics import fit_temperature
from cutpoint.learning.shared.folds import Folds, inner_folds, units_of, value_folds

ALPHAS = (0.25, 0.5, 0.75, 1.0)
MANY = 400
"""Rows above which two halves of a fifth judge, and no longer five folds."""
RATES = {
    "norm": (1e-3, 3e-3),
    "last": (1e-4, 3e-4),
    "layers": (1e-4, 3e-4),
    "from": (1e-4, 3e-4),
    "all": (3e-5, 1e-4),
    "lora": (5e-4, 1e-3),
}
"""What is unfrozen → rates that are tried (docs/benchmarks/finetune.md)."""


def epochs_for(n_rows: int) -> int:
    """Return how many epochs are run by default: 10, of more rows fewer."""
    return 10 if n_rows <= 100 else 6 if n_rows <= MANY else 4


def folds_for(target: str, truth: Array, groups: Array | None, seed: int) -> Folds:
    """Return places to learn from and to judge: five folds, or of many rows two times a fifth."""

    def drawn(seed: int) -> Folds:
        if target == "classes":
            return inner_folds(truth, groups, seed)
        return value_folds(len(truth), groups, seed)

    return drawn(seed) if len(truth) <= MANY else drawn(seed)[:1] + drawn(seed + 1)[:1]


@dataclass(frozen=True)
class Setting:
    """One way to tune.

    Attributes
    ----------
    rate : float
    epoch : int
        How many are run, of those the rate falls over.
    alpha : float
        How far to go from the start to where training ends; 0: the start.
    """

    rate: float
    epoch: int
    alpha: float

    def __str__(self) -> str:
        if not self.alpha:
            return "the start, frozen"
        return f"rate {self.rate:g}, {self.epoch} epochs, α {self.alpha:g}"


START = Setting(0.0, 0, 0.0)


@dataclass(frozen=True)
class Judged:
    """A setting, and what rows left out say.

    Attributes
    ----------
    loss, score : float
        Means over the rows.
    more, error : float
        How much more it loses than the best on the same rows, and the standard error of that.
    """

    setting: Setting
    loss: float
    score: float
    more: float
    error: float


@dataclass(frozen=True)
class Searched:
    """What was tried, and what was taken.

    Attributes
    ----------
    taken : Judged
    best : Judged
    start : Judged
    n_settings : int
    n_folds, n_rows : int
    target : str
    held_out : float64 array of shape (n_items, n_outputs)
        Scores of the setting taken, of rows left out; NaN of rows that never were.
    stopped : tuple of float
        Rates at which a loss was no number.
    by_rate : tuple of Judged
        The best of each rate.
    is_settled : bool
        Whether what was taken was settled before.
    """

    taken: Judged
    best: Judged
    start: Judged
    n_settings: int
    n_folds: int
    n_rows: int
    target: str
    held_out: Float64
    stopped: tuple[float, ...] = ()
    by_rate: tuple[Judged, ...] = ()
    is_settled: bool = False

    def to_json(self) -> dict[str, Any]:
        fields = {k: v for k, v in vars(self).items() if k != "held_out"}
        judged = {name: asdict(fields[name]) for name in ("taken", "best", "start")}
        rates = [asdict(each) for each in self.by_rate]
        return {**fields, **judged, "by_rate": rates, "stopped": list(self.stopped)}

    def __str__(self) -> str:
        what = SAID[self.target]
        said = (
            f"{self.n_settings} settings judged on {self.n_rows} training rows left out in "
            f"{self.n_folds} folds, by {what}: start {self.start.loss:.4f}, best "
            f"{self.best.loss:.4f} ({self.best.setting}). Taken: {self.taken.setting}, "
            f"{self.taken.loss:.4f}"
        )
        if self.is_settled:
            said += ", as it was settled before"
        elif self.taken != self.best:
            said += ", the smallest change within one standard error"
        if self.stopped:
            said += f". Stopped, as a loss was no number: rate {', '.join(map(str, self.stopped))}"
        return said + "."


@dataclass(frozen=True)
class Fold:
    """One fold's share of the work.

    Attributes
    ----------
    learn, judge : int arrays
        Places among the training rows.
    trainer : callable
        A fresh one from the fold's own start.
    checkpoint : callable
        The file of a run, by its rate.
    """

    learn: Array
    judge: Array
    trainer: Callable[[], Trainer]
    checkpoint: Callable[[float], Checkpoint]


def search(
    folds: Sequence[Fold],
    rows: Rows,
    truth: Array,
    target: str,
    plans: Sequence[Plan],
    blocks: Mapping[str, str],
    groups: Array | None,
    alphas: Sequence[float] = ALPHAS,
    advance: Callable[[int], None] = lambda n: None,
    settled: Setting | None = None,
) -> Searched:
    """Judge every rate, epoch and way back to the start on rows left out.

    Parameters
    ----------
    truth : array
        What all rows are: numbers of classes, or (n_items, n_outputs).
    plans : sequence of Plan
        One a rate.
    settled : Setting, optional
        What is taken whatever the rows say, unless it could not be run to its end.
    """
    starts, tuned, stopped = [], dict[float, list[Float64]](), []
    for fold in folds:
        starts.append(scores_of(fold.trainer(), rows, fold.judge))
    for plan in plans:
        found = []
        for fold in folds:
            ran = _in_fold(fold, rows, truth, target, plan, blocks, alphas, advance)
            if not ran.is_finite:
                break
            found.append(np.stack(ran.kept["scores"]))  # (n_epochs, n_alphas, n_judged, n_outputs)
        if len(found) == len(folds):
            tuned[plan.rate] = found
        else:
            stopped.append(plan.rate)
    judge = np.concatenate([fold.judge for fold in folds])
    parts = np.repeat(np.arange(len(folds)), [len(fold.judge) for fold in folds])
    candidates = {START: np.concatenate(starts)}
    for rate, several in tuned.items():
        whole = np.concatenate(several, axis=2)
        for epoch in range(whole.shape[0]):
            for place, alpha in enumerate(alphas):
                candidates[Setting(rate, epoch + 1, alpha)] = whole[epoch, place]
    return _chosen(candidates, judge, truth, target, groups, parts, tuple(stopped), settled)


def _in_fold(
    fold: Fold,
    rows: Rows,
    truth: Array,
    target: str,
    plan: Plan,
    blocks: Mapping[str, str],
    alphas: Sequence[float],
    advance: Callable[[int], None],
) -> Ran:
    trainer = fold.trainer()
    start = trainer.weights()

    def after(trained: Trainer, epoch: int) -> tuple[float, Mapping[str, Array]]:
        end = trained.weights()
        ways = [between(start, end, alpha) for alpha in alphas]
        scores = np.stack([scores_of(trained, rows, fold.judge, way) for way in ways])
        return float(LOSSES[target](scores[-1], truth[fold.judge]).mean()), {"scores": scores}

    checkpoint = fold.checkpoint(plan.rate)
    return run(
        trainer, rows, fold.learn, truth[fold.learn], plan, blocks, after, checkpoint, advance
    )


def _chosen(
    candidates: Mapping[Setting, Float64],
    judge: Array,
    truth: Array,
    target: str,
    groups: Array | None,
    parts: Array,
    stopped: tuple[float, ...],
    settled: Setting | None,
) -> Searched:
    losses = {
        each: LOSSES[target](_calibrated(scores, truth[judge], target, parts), truth[judge])
        for each, scores in candidates.items()
    }
    best = min(losses, key=lambda each: (float(losses[each].mean()), *_size(each)))
    units = units_of(len(truth), groups)[judge]

    def judged(each: Setting) -> Judged:
        more = losses[each] - losses[best]
        score = float(right(target, candidates[each], truth[judge]).mean())
        return Judged(
            each, float(losses[each].mean()), score, float(more.mean()), _error(more, units)
        )

    found = {each: judged(each) for each in candidates}
    as_good = [each for each in found.values() if each.more <= each.error]
    taken = min(as_good, key=lambda each: _size(each.setting))
    if settled is not None:
        taken = found.get(settled, found[START])
    rates = sorted({each.rate for each in candidates if each.rate})
    by_rate = tuple(
        min((j for j in found.values() if j.setting.rate == rate), key=lambda j: j.loss)
        for rate in rates
    )
    scores = candidates[taken.setting]
    held_out = np.full((len(truth), scores.shape[1]), np.nan)
    held_out[judge] = scores
    return Searched(
        taken,
        found[best],
        found[START],
        len(candidates),
        len(np.unique(parts)),
        len(judge),
        target,
        held_out,
        stopped,
        by_rate,
        settled is not None,
    )


def _calibrated(scores: Float64, truth: Array, target: str, parts: Array) -> Float64:
    """Return scores of classes over a temperature, each fold's from the other folds.

    What is taken is calibrated in the end: what training makes too sure is no worse for that.
    """
    if target != "classes" or len(np.unique(parts)) < 2:
        return scores
    found = np.empty_like(scores)
    for part in np.unique(parts):
        others = parts != part
        found[~others] = scores[~others] / fit_temperature(scores[others], truth[others])
    return found


def _size(setting: Setting) -> tuple[float, float, int]:
    """Return what orders settings by how much they change: nothing first, then a low rate."""
    if not setting.alpha:
        return (0.0, 0.0, 0)
    return (setting.rate, setting.alpha, setting.epoch)


def _error(more: Float64, units: Array) -> float:
    """Return the standard error of a mean of differences, rows of one group counted as one."""
    _, group = np.unique(units, return_inverse=True)
    counts = np.bincount(group)
    if len(counts) < 2:
        return 0.0
    # The error of a ratio of sums, as groups differ in size.
    rest = np.bincount(group, more) - more.mean() * counts
    n = len(counts)
    return float(np.sqrt(np.square(rest).sum() * n / (n - 1)) / len(more))


def with_rate(plan: Plan, rate: float) -> Plan:
    return replace(plan, rate=rate)
