"""Candidates in order, which one is taken, and how sure that is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cutpoint.base.text import printable, shortened
from cutpoint.base.types import Array, Float64
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.decision import (
    DOUBT,
    FEWEST,
    MARGIN,
    Decision,
    can_show_equals,
    decide,
    gain_interval,
    tells_nothing,
)
from cutpoint.learning.metrics import Interval
from cutpoint.networks.layer_table import MIN_LETTERS, human_count

METRICS = {"classes": "accuracy", "labels": "labels right", "values": "R²"}
N_COLUMNS = 98  # of the table
_WORDS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Ranking:
    """Candidates, the least squared error of rows left out first.

    Not the highest accuracy: with few rows many candidates have the same, and the luckiest is no
    better (docs/benchmarks/choosing.md).

    Attributes
    ----------
    candidates : tuple of Candidate
    n_train, n_alphas : int
    is_grouped : bool
        Whether rows of one group were left out together.
    kind : {"classes", "labels", "values"}
        What the targets are.
    recipe : str
        What all candidates went through; empty if nothing.
    n_folds : int
        In how many folds rows were left out; 0 if one by one, exactly.
    chance : float
        What the most frequent class, or the mean, would score.
    nested : Interval or None
        Score of the whole choice on rows left out of it too.
    is_permuted : bool
        Whether the labels were shuffled, to see what choosing finds in nothing.
    items_per_s : mapping of str to float
        Layer → items a second the network runs up to there on this machine, where measured.
    prior_taps : tuple of str
        What is taken unless the rows show better; the last tap if empty, or not judged.
    last_pool : str
        What the last tap is read with, where it was.
    n_to_choose : int
        Rows, those of one group counted as one, below which nothing else is taken.
    skipped : tuple of str
        Taps that are the same for all rows, so that nothing can be learned from them.
    groups : array of shape (n_train,) or None
        Rows of one group count as one.
    blind_losses : float64 array of shape (n_train,)
        Squared error of each row if all are said to be the same; empty: not known.
    """

    candidates: tuple[Candidate, ...]
    n_train: int
    n_alphas: int
    is_grouped: bool
    kind: str = "classes"
    recipe: str = ""
    n_folds: int = 0
    chance: float = 0.0
    nested: Interval | None = None
    is_permuted: bool = False
    items_per_s: Mapping[str, float] = field(default_factory=dict)
    prior_taps: tuple[str, ...] = ()
    last_pool: str = "gap"
    n_to_choose: int = FEWEST
    skipped: tuple[str, ...] = ()
    groups: Array | None = field(default=None, repr=False, compare=False)
    blind_losses: Float64 = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def best(self) -> Candidate:
        """The least squared error, whether or not the data can tell it from others."""
        return self.candidates[0]

    @cached_property
    def tied(self) -> tuple[Candidate, ...]:
        """The candidates inside the best one's interval: the data can't tell them apart."""
        low = self.best.score.low
        return tuple(each for each in self.candidates if each.score.value >= low)

    @property
    def taken(self) -> Candidate:
        """The prior, unless the rows show another to be better, or as good and cheaper."""
        return self.decision.taken

    @cached_property
    def decision(self) -> Decision:
        """What is taken, and why."""
        return decide(
            self.candidates, self.prior, self.groups, self.unit, self.is_bounded, self.n_to_choose
        )

    @cached_property
    def prior(self) -> Candidate:
        """What is taken unless the rows show better.

        The taps of `prior_taps` fused, the last tap, or the least error: the first that was judged.
        """
        fused = (each for each in self.candidates if each.taps == self.prior_taps)
        return next(fused, None) or self.last or self.best

    @cached_property
    def tells_nothing(self) -> bool:
        """Whether no candidate tells the labels of rows left out apart."""
        return tells_nothing(self.candidates, self.blind_losses, self.groups)

    @property
    def is_bounded(self) -> bool:
        """Whether what a row adds to the score lies between 0 and 1."""
        return self.kind != "values"

    @property
    def unit(self) -> float:
        """Outcome that is a score of 1: for values, whose R² is 1 − error / variance, that."""
        if self.is_bounded:
            return 1.0
        return -float(self.best.outcomes.mean()) / max(1 - self.best.score.value, 1e-12)

    def gain_over_last(self) -> Interval | None:
        """Return what the taken one scores above the last tap on the same rows left out, 95 %.

        None if no tap was judged alone, or it is the last tap that is taken.
        """
        if self.last is None or self.taken is self.last:
            return None
        found = gain_interval(self.taken, self.last, self.groups, self.is_bounded)
        return Interval(*(each / self.unit for each in (found.value, found.low, found.high)))

    @cached_property
    def last(self) -> Candidate | None:
        """What most tools would use: the deepest tap alone, read as they do if it was.

        None if no tap was judged alone.
        """
        single = [each for each in self.candidates if each.strategy == "single"]
        deepest = [each for each in single if each.depth == max(one.depth for one in single)]
        usual = [each for each in deepest if each.deepest.pool == self.last_pool]
        return next(iter(usual or deepest), None)

    @cached_property
    def pareto(self) -> tuple[Candidate, ...]:
        """The candidates that no cheaper one equals, cheap to dear."""
        found: list[Candidate] = []
        for each in sorted(self.candidates, key=lambda each: each.cost):
            if not found or each.score.value > found[-1].score.value:
                found.append(each)
        return tuple(found)

    def of_strategy(self, *strategies: str) -> Ranking:
        """Return the ranking of the candidates of some strategies alone."""
        return replace(
            self, candidates=tuple(e for e in self.candidates if e.strategy in strategies)
        )

    @property
    def n_configurations(self) -> int:
        """How many configurations were tried: choices of taps, weights and columns × λ."""
        return sum(each.n_tried for each in self.candidates) * self.n_alphas

    @property
    def metric(self) -> str:
        return METRICS[self.kind]

    @property
    def how(self) -> str:
        """How rows were left out, ``"LOO"`` or ``"5-fold"``."""
        return f"{self.n_folds}-fold" if self.n_folds else "LOO"

    def headline(self) -> str:
        """Say what is taken and why, or that nothing tells the labels apart."""
        if self.tells_nothing:
            return (
                "Nothing tells the labels apart: the best of "
                f"{_count(len(self.candidates), 'way')} to read the network has {self.metric} "
                f"{self.best.score} on rows left out; without looking it would be "
                f"{self.chance:.3f}. Are the same items in several classes?"
            )
        taken, prior = self.taken, self._prior_text
        if self.decision.why == "only":
            return f"Taken: {taken.tap}, the only one."
        if self.decision.why == "better":
            return f"Taken: {taken.tap}, shown to err less than {prior}."
        if self.decision.why == "cheaper":
            than = prior if self.decision.base is self.prior else self.decision.base.tap
            return (
                f"Taken: {taken.tap}, cheaper than {than} and shown to score no more than "
                f"{100 * MARGIN:g} point below."
            )
        are = "are" if len(self.prior.taps) > 1 else "is"
        if not can_show_equals(self.n_units):
            return f"Too few to choose: {prior} {are} taken."
        return f"Nothing is shown to be better, or as good and cheaper: {prior} {are} taken."

    def verdict(self) -> str:
        """Say what is taken and why, how sure that is, and how many were tried."""
        return f"{self.headline()} {self.details()}"

    def details(self) -> str:
        """Say how many were tried and how sure the order is."""
        n_choices = self.n_configurations // self.n_alphas
        made = f", {n_choices} choices" if n_choices > len(self.candidates) else ""
        tried = (
            f"{_count(len(self.candidates), 'candidate')}{made} × {self.n_alphas} λ = "
            f"{self.n_configurations} configurations tried on {self.n_train} training rows"
        )
        said = f"{tried}."
        if self.skipped:
            said += f" Not ranked, the same for all rows: {', '.join(self.skipped)}."
        if len(self.candidates) > 1 and not self.tells_nothing:
            said += f" {self._least()}"
        if self.nested is not None:
            said += f" Chosen anew in folds, without the rows judged: {self.nested}."
        if self.is_permuted:
            said += f" Labels were shuffled: {self.chance:.3f} is what luck gives."
        if not all(each.is_exact for each in self.candidates):
            said += (
                " ≈: judged by landmarks in the place of rows and columns too many to decompose."
            )
        if self._folded:
            said += f" †: chosen and judged in {self._folded} folds."
        return said

    @property
    def n_units(self) -> int:
        """Rows, those of one group counted as one."""
        return self.n_train if self.groups is None else len(np.unique(self.groups))

    @property
    def _prior_text(self) -> str:
        if len(self.prior.taps) == 1 or self.prior.taps != self.prior_taps:
            return f"the last tap, {self.prior.tap}," if self.prior is self.last else self.prior.tap
        return f"the last {_WORDS[len(self.prior.taps)]} stages"

    def _least(self) -> str:
        others = len(self.tied) - 1
        first = f"{self.best.tap} errs least; "
        if not others:
            return f"{first}no other lies inside its interval."
        are = "is" if others == 1 else "are"
        return f"{first}inside its interval there {are} {others} more, so no winner is named."

    @property
    def _folded(self) -> int:
        """Folds that some candidates were judged in where others were not; 0 if alike."""
        return 0 if self.n_folds else max((each.n_folds for each in self.candidates), default=0)

    def to_json(self) -> dict[str, Any]:
        gain = self.gain_over_last()
        return {
            "candidates": [each.to_json() for each in self.candidates],
            "n_train": self.n_train,
            "n_alphas": self.n_alphas,
            "n_configurations": self.n_configurations,
            "is_grouped": self.is_grouped,
            "kind": self.kind,
            "metric": self.metric,
            "recipe": self.recipe,
            "n_folds": self.n_folds,
            "how": self.how,
            "chance": self.chance,
            "nested": None if self.nested is None else vars(self.nested),
            "is_permuted": self.is_permuted,
            "items_per_s": dict(self.items_per_s),
            "taken": self.taken.tap,
            "why": "nothing" if self.tells_nothing else self.decision.why,
            "prior": self.prior.tap,
            "margin": MARGIN,
            "doubt": DOUBT,
            "gain_over_last": None if gain is None else vars(gain),
            "best": self.best.tap,
            "last": self.last and self.last.tap,
            "skipped": list(self.skipped),
            "headline": self.headline(),
            "verdict": self.verdict(),
        }

    def lines(self, at_most: int | None = None) -> list[str]:
        """Return the table as aligned text; ``=`` marks what the best can't be told from."""
        rows = [self._cells(each) for each in self.candidates]
        shown = rows[:at_most]
        taken = self.candidates.index(self.taken)
        if taken >= len(shown):
            shown = [*rows[: len(shown) - 1], rows[taken]]
        table = _fitted([self._header(), *shown])
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
        left_out = len(rows) - len(shown)
        return [*lines, f"   … and {left_out} more"] if left_out else lines

    def __str__(self) -> str:
        said = [textwrap.wrap(printable(text), 98) for text in (self.headline(), self.details())]
        return "\n".join([*said[0], *self.lines(), *said[1]])

    def _header(self) -> tuple[str, ...]:
        speed = ("items/s",) if self.items_per_s else ()
        score = f"{self.how} {self.metric} [95 %]"
        return ("", "layer", "pool", "width", "MACs", *speed, score, "evidence", "error²")

    def _cells(self, each: Candidate) -> tuple[str, ...]:
        mark = "=" if each in self.tied else ""
        mark = "→" if each is self.taken else mark
        mark = "" if self.tells_nothing else mark
        layer, pool = printable(each.deepest.layer), each.deepest.pool
        if len(each.taps) > 1:
            pools = {tap.rpartition("/")[2] for tap in each.taps}
            pool = pool if len(pools) == 1 else f"{len(pools)} pools"
            layer = f"{each.strategy}: {len(each.taps)} taps to {layer}"
        elif each.strategy != "single":
            layer = f"{each.strategy}: {layer}"
        macs = "–" if each.macs is None else human_count(each.macs)
        evidence = "–" if each.evidence is None else f"{each.evidence:.3f}"
        speed = (self._speed(each.deepest.layer),) if self.items_per_s else ()
        sign = "" if each.is_exact else "≈"
        sign += "†" if each.n_folds and not self.n_folds else ""
        figures = (f"{each.score}{sign}", evidence, f"{each.error:.4g}")
        return (mark, layer, pool, str(each.width), macs, *speed, *figures)

    def _speed(self, layer: str) -> str:
        return f"{self.items_per_s[layer]:.0f}" if layer in self.items_per_s else "–"


def _fitted(table: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the table with layers' names short enough for the page."""
    columns = list(zip(*table, strict=True))
    others = sum(max(map(len, column)) + 2 for n, column in enumerate(columns) if n != 1)
    letters = max(MIN_LETTERS, N_COLUMNS - others)
    return [(row[0], shortened(row[1], letters), *row[2:]) for row in table]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
