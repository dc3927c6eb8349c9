"""Candidates in order, which one is taken, and how sure that is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cutpoint.choosing.candidate import Candidate, is_close
from cutpoint.layer_table import human_count
from cutpoint.metrics import Interval
from cutpoint.text import printable

METRICS = {"classes": "accuracy", "labels": "labels right", "values": "R²"}
N_COLUMNS = 98  # of the table
MIN_LETTERS = 12  # of a layer's name


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

    @property
    def best(self) -> Candidate:
        """The least squared error, whether or not the data can tell it from others."""
        return self.candidates[0]

    @cached_property
    def tied(self) -> tuple[Candidate, ...]:
        """The candidates inside the best one's interval: the data can't tell them apart."""
        low = self.best.score.low
        return tuple(each for each in self.candidates if each.score.value >= low)

    @cached_property
    def taken(self) -> Candidate:
        """The cheapest of those that the training rows can't tell from the best: `is_close`."""
        best = self.best
        close = [each for each in self.candidates if is_close(best, each, self.n_train)]
        return min(close, key=lambda each: each.cost)

    @cached_property
    def last(self) -> Candidate | None:
        """What most tools would use: the deepest tap alone, averaged if it was.

        None if no tap was judged alone.
        """
        single = [each for each in self.candidates if each.strategy == "single"]
        deepest = [each for each in single if each.depth == max(one.depth for one in single)]
        averaged = [each for each in deepest if each.deepest.pool == "gap"]
        return next(iter(averaged or deepest), None)

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

    def verdict(self) -> str:
        """Say what was chosen and how sure that is."""
        n_choices = self.n_configurations // self.n_alphas
        made = f", {n_choices} choices" if n_choices > len(self.candidates) else ""
        tried = (
            f"{_count(len(self.candidates), 'candidate')}{made} × {self.n_alphas} λ = "
            f"{self.n_configurations} configurations tried on {self.n_train} training rows"
        )
        said = f"{tried}. {self._choice()}"
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

    def _choice(self) -> str:
        others = len(self.tied) - 1
        if len(self.candidates) == 1:
            return f"Taken: {self.taken.tap}, the only one."
        first = f"{self.best.tap} errs least; "
        if others:
            are = "is" if others == 1 else "are"
            first += f"inside its interval there {are} {others} more, so no winner is named."
        else:
            first += "no other lies inside its interval."
        if self.taken is self.best:
            return f"{first} It is taken: none within one standard error of it is cheaper."
        return (
            f"{first} Taken: {self.taken.tap}, the cheapest within one standard error of it that "
            "is as likely by evidence."
        )

    @property
    def _folded(self) -> int:
        """Folds that some candidates were judged in where others were not; 0 if alike."""
        return 0 if self.n_folds else max((each.n_folds for each in self.candidates), default=0)

    def to_json(self) -> dict[str, Any]:
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
            "best": self.best.tap,
            "last": self.last and self.last.tap,
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
        return "\n".join([*self.lines(), *textwrap.wrap(printable(self.verdict()), 98)])

    def _header(self) -> tuple[str, ...]:
        speed = ("items/s",) if self.items_per_s else ()
        score = f"{self.how} {self.metric} [95 %]"
        return ("", "layer", "pool", "width", "MACs", *speed, score, "evidence", "error²")

    def _cells(self, each: Candidate) -> tuple[str, ...]:
        mark = "→" if each is self.taken else ("=" if each in self.tied else "")
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
    return [(row[0], _short(row[1], letters), *row[2:]) for row in table]


def _short(name: str, letters: int) -> str:
    """Return a name of so many letters at most, its middle left out if need be."""
    if len(name) <= letters:
        return name
    half = letters // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
