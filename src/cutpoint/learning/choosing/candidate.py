"""One way to make features of a cut network, judged on training rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cutpoint.base.spec import TapSpec
from cutpoint.base.types import Float64
from cutpoint.learning.metrics import Interval

STRATEGIES = ("single", "fused", "greedy", "weighted", "head2toe", "ridge_norm")
"""How candidates are made: each tap alone; all taps of a pool fused; taps added one by one while
the error falls; all with weights found on leave-one-out; the columns of all that group lasso, or
the weights of a ridge head, put first. The last four are judged in folds, chosen anew in each."""


@dataclass(frozen=True)
class Candidate:
    """One layer with one pooling, or several made one.

    Attributes
    ----------
    taps : tuple of str
        ``"layer/pool"``; several where a recipe makes them one.
    width : int
        Features the head sees.
    alpha : float
        λ of the smallest leave-one-out squared error.
    score : Interval
        On rows left out of all that was fitted, 95 %: accuracy (Wilson), share of labels right, or
        R² (both by bootstrap).
    error : float
        Their mean squared error: the mean of `losses`.
    evidence : float or None
        Exact log evidence of the Bayesian linear model with intercept, an item; None if judged in
        folds, or not finite.
    recipe : str
        What is done to the taps.
    strategy : str
        One of `STRATEGIES`.
    n_folds : int
        In how many folds rows were left out; 0 if one by one, exactly.
    n_tried : int
        Choices of taps, weights or columns that were compared to make it one.
    is_exact : bool
        False where rows and columns were so many that landmarks stood in for the features.
    depth : int
        Place of the deepest layer among those extracted, from 0.
    macs : int or None
        Multiply-accumulates up to there, for one item; None if not known.
    outcomes : float64 array of shape (n_items,)
        What each row adds to the score: 1 if right; for values, minus the squared error. Times
        the row's weight, if rows are weighted.
    losses : float64 array of shape (n_items,)
        Squared error of each row, mean over targets, times its weight.
    """

    taps: tuple[str, ...]
    width: int
    alpha: float
    score: Interval
    error: float
    evidence: float | None = None
    recipe: str = ""
    strategy: str = "single"
    n_folds: int = 0
    n_tried: int = 1
    is_exact: bool = True
    depth: int = 0
    macs: int | None = None
    outcomes: Float64 = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    losses: Float64 = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def tap(self) -> str:
        """The tap, or a name for several."""
        first, *rest = self.taps
        many = f"{len(self.taps)} taps, {first} … {self.taps[-1]}"
        if self.strategy != "single":
            return f"{self.strategy} {many}"
        return many if rest else first

    @property
    def deepest(self) -> TapSpec:
        return TapSpec.from_name(self.taps[-1])

    @property
    def cost(self) -> tuple[int, int, float, float]:
        """What orders candidates from cheap to dear; of equal ones the better is first."""
        macs = self.depth if self.macs is None else self.macs
        return macs, self.width, self.error, -self.score.value

    def to_json(self) -> dict[str, Any]:
        score = {"value": self.score.value, "low": self.score.low, "high": self.score.high}
        return {
            "taps": list(self.taps),
            "tap": self.tap,
            "strategy": self.strategy,
            "recipe": self.recipe,
            "n_folds": self.n_folds,
            "n_tried": self.n_tried,
            "is_exact": self.is_exact,
            "width": self.width,
            "depth": self.depth,
            "macs": self.macs,
            "alpha": self.alpha,
            "score": score,
            "error": self.error,
            "evidence": self.evidence,
        }
