"""Which candidate is taken: the prior, unless the rows show another to be better, or as good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from cutpoint.base.types import Array, Float64
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.metrics import Interval

DOUBT = 0.05
"""Chance, at most, that what the rows are said to show is not so."""
MARGIN = 0.01
"""What a cheaper candidate may lose: one point of accuracy, of labels right, or of R²."""
FEWEST = 20
"""Rows below which none is shown to be better: models that share all but one of so few rows err
alike, and no bound on their differences holds (4 rows of chest X-rays named the first block)."""
SOME = 0.05
"""Share of the labels' variance that is worth naming a layer for."""
WHYS = ("only", "prior", "better", "cheaper")


@dataclass(frozen=True)
class Decision:
    """What is taken, and why.

    Attributes
    ----------
    taken : Candidate
    base : Candidate
        The prior, or what was shown to be better than it: what a cheaper one is compared with.
    why : {"only", "prior", "better", "cheaper"}
    """

    taken: Candidate
    base: Candidate
    why: str


def decide(
    candidates: Sequence[Candidate],
    prior: Candidate,
    groups: Array | None = None,
    unit: float = 1.0,
    is_bounded: bool = True,
    n_to_choose: int = FEWEST,
) -> Decision:
    """Return what is taken of `candidates`, the least squared error of rows left out first.

    The prior is taken unless the rows show that another errs less, by a one-sided bound on the
    paired difference that allows for as many comparisons as there are candidates; of several the
    one of the least error is taken. Then, from dear to cheap, what is cheaper follows as long as it
    loses no more than `MARGIN`, by a bound too, and is not itself shown to err more.

    Parameters
    ----------
    groups : array of shape (n_items,), optional
        Rows of one group count as one.
    unit : float
        Outcome that is one whole: 1 for accuracy, the variance for values.
    is_bounded : bool
        Whether outcomes lie between 0 and one `unit`.
    n_to_choose : int
        Rows, those of one group counted as one, below which the prior is taken.
    """
    if len(candidates) == 1:
        return Decision(prior, prior, "only")
    n_units = _n_units(prior, groups)
    if n_units < n_to_choose:
        return Decision(prior, prior, "prior")
    others = [each for each in candidates if each is not prior]
    better = [each for each in others if is_better(each, prior, groups, len(others))]
    base = better[0] if better else prior
    taken = _cheapest(candidates, base, groups, unit, is_bounded)
    if taken is not base:
        return Decision(taken, base, "cheaper")
    return Decision(base, base, "better" if better else "prior")


def is_better(one: Candidate, other: Candidate, groups: Array | None, n_compared: int = 1) -> bool:
    """Say whether the rows show that one errs less than the other, one of `n_compared`."""
    gains = other.losses - one.losses
    return mean_interval(gains, groups, 2 * DOUBT / n_compared).low > 0


def gain_interval(
    one: Candidate, other: Candidate, groups: Array | None, is_bounded: bool, doubt: float = DOUBT
) -> Interval:
    """Return what one scores above the other on rows left out, with its two-sided interval."""
    return mean_interval(one.outcomes - other.outcomes, groups, doubt, is_bounded)


def mean_interval(
    gains: Float64, groups: Array | None, doubt: float, is_bounded: bool = False
) -> Interval:
    """Return the mean of paired differences with Student's interval, groups counted as one.

    Parameters
    ----------
    gains : array of shape (n_items,)
    groups : array of shape (n_items,) or None
    doubt : float
        Chance that the mean lies outside; half of it at either end.
    is_bounded : bool
        Whether a difference lies between −1 and 1. Then one of each is added before the bounds are
        drawn, so that three rows that all agree are no proof, and the bounds end there.

    References
    ----------
    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", 2005.
    """
    mean = float(gains.mean())
    units: Float64 = gains
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        sums = np.bincount(group, gains)
        units = np.asarray(sums * (len(sums) / len(gains)), np.float64)
    if is_bounded:
        units = np.append(units, (1.0, -1.0))
    n = len(units)
    if n < 2:
        return Interval(mean, -np.inf, np.inf)
    width = float(student.ppf(1 - doubt / 2, n - 1) * units.std(ddof=1) / np.sqrt(n))
    centre = float(units.mean())
    low, high = min(mean, centre - width), max(mean, centre + width)
    least, most = (-1.0, 1.0) if is_bounded else (-np.inf, np.inf)
    return Interval(mean, max(low, least), min(high, most))


def _cheapest(
    candidates: Sequence[Candidate],
    base: Candidate,
    groups: Array | None,
    unit: float,
    is_bounded: bool,
) -> Candidate:
    """Step down from `base` while the next cheaper candidate is shown to lose no more than allowed.

    Testing in a fixed order, up to the first that fails, needs no correction for their number.
    Rows that could not show it of two that are equal are not asked: they would name what looks
    better by luck. Near perfection one point is most of the errors there are, and the squared
    error still tells who comes closer to them.
    """
    taken = base
    if not can_show_equals(_n_units(base, groups)):
        return base
    by_cost: dict[int, Candidate] = {}
    for each in candidates:  # of one cost, the least error
        by_cost.setdefault(each.cost[0], each)
    for cost in sorted((c for c in by_cost if c < base.cost[0]), reverse=True):
        gain = gain_interval(by_cost[cost], base, groups, is_bounded, 2 * DOUBT)
        if gain.low < -MARGIN * unit or is_better(base, by_cost[cost], groups):
            break
        taken = by_cost[cost]
    return taken


def _n_units(one: Candidate, groups: Array | None) -> int:
    return len(one.losses) if groups is None else len(np.unique(groups))


def can_show_equals(n_units: int) -> bool:
    """Say whether so many rows could show a candidate to lose no more than `MARGIN`.

    If both were right and wrong on the very same rows: from some 230 on.
    """
    alike = mean_interval(np.zeros(n_units), None, 2 * DOUBT, is_bounded=True)
    return alike.low >= -MARGIN


def tells_nothing(
    candidates: Sequence[Candidate], blind_losses: Float64, groups: Array | None
) -> bool:
    """Say whether no candidate tells the labels of rows left out apart.

    None is shown to err less than an answer that is the same for all rows, and the rows are enough
    to rule out that the best of them explains `SOME` of what the labels vary.
    """
    if not len(blind_losses):
        return False
    blind = float(blind_losses.mean())
    gains = [blind_losses - each.losses for each in candidates]
    is_shown = any(mean_interval(e, groups, 2 * DOUBT / len(gains)).low > 0 for e in gains)
    return not is_shown and mean_interval(gains[0], groups, 2 * DOUBT).high < SOME * blind
