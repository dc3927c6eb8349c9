"""Rank layer × pooling by exact leave-one-out accuracy."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cutpoint.errors import DataError, UsageError
from cutpoint.gram import Spectrum, alpha_grid, one_hot
from cutpoint.heads.ridge import best_alpha
from cutpoint.metrics import Interval, wilson
from cutpoint.progress import Reporter
from cutpoint.spec import TapSpec
from cutpoint.store import Features
from cutpoint.types import Array

N_ALPHAS = 20


@dataclass(frozen=True)
class Candidate:
    """One layer with one pooling, judged on the training rows alone.

    Attributes
    ----------
    tap : str
        ``"layer/pool"``.
    width : int
        Features.
    alpha : float
        λ of the smallest leave-one-out squared error.
    loo_accuracy : Interval
        Exact; Wilson, 95 %.
    loo_mse : float
    """

    tap: str
    width: int
    alpha: float
    loo_accuracy: Interval
    loo_mse: float


@dataclass(frozen=True)
class Ranking:
    """Candidates, the most accurate first; equal accuracies by squared error."""

    candidates: tuple[Candidate, ...]
    n_train: int
    n_alphas: int
    is_grouped: bool

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def n_configurations(self) -> int:
        """How many configurations were tried: candidates × λ."""
        return len(self.candidates) * self.n_alphas

    @property
    def tied(self) -> tuple[Candidate, ...]:
        """The candidates inside the best one's interval: the data can't tell them apart."""
        low = self.best.loo_accuracy.low
        return tuple(each for each in self.candidates if each.loo_accuracy.value >= low)

    def verdict(self) -> str:
        """Say what was chosen and how sure that is."""
        tried = (
            f"{_count(len(self.candidates), 'candidate')} × {self.n_alphas} λ = "
            f"{self.n_configurations} "
            f"configurations tried on {self.n_train} training rows"
        )
        others = len(self.tied) - 1
        if others:
            return (
                f"{tried}. Taken: {self.best.tap}, the first by accuracy; inside its interval "
                f"there {'is' if others == 1 else 'are'} {others} more, so no winner is named."
            )
        return f"{tried}. Taken: {self.best.tap}; no other lies inside its interval."

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "taken": self.best.tap, "verdict": self.verdict()}

    def lines(self, at_most: int | None = None) -> list[str]:
        """Return the table as aligned text; ``=`` marks what the best can't be told from."""
        rows = [_cells(each, each is self.best, each in self.tied) for each in self.candidates]
        shown = [_HEADER, *rows[:at_most]]
        widths = [max(len(row[column]) for row in shown) for column in range(len(_HEADER))]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]
        left_out = len(rows) + 1 - len(shown)
        return [*lines, f"   … and {left_out} more"] if left_out else lines

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *textwrap.wrap(self.verdict(), 98)])


_HEADER = ("", "layer", "pool", "width", "λ", "LOO accuracy [95 %]", "LOO error²")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _cells(candidate: Candidate, is_best: bool, is_tied: bool) -> tuple[str, ...]:
    tap = TapSpec.from_name(candidate.tap)
    mark = "→" if is_best else ("=" if is_tied else "")
    figures = (f"{candidate.alpha:.3g}", str(candidate.loo_accuracy), f"{candidate.loo_mse:.4f}")
    return (mark, tap.layer, tap.pool, str(candidate.width), *figures)


def rank(features: Features, reporter: Reporter | None = None) -> Ranking:
    """Rank every pooled tap of `features` on its training rows.

    One eigendecomposition a candidate gives the leave-one-out predictions of every λ; candidates
    are read one at a time, so memory does not grow with their number. Rows of one group are left
    out together.

    Raises
    ------
    DataError
        If there are no training rows with labels of two classes.
    UsageError
        If no tap is pooled to vectors.
    """
    rows = features.rows_of("train")
    labels = features.labels[rows]
    _check_labels(features, labels)
    classes, truth = np.unique(labels.astype(str), return_inverse=True)
    targets = one_hot(truth, range(len(classes)))
    groups = features.group_numbers(rows)
    taps = [tap.name for tap in features.spec.taps if _is_vector(features, tap)]
    if not taps:
        raise UsageError(
            f'A ranking of the taps of "{features.name}" was asked for.',
            "All of them hold whole activations or matrices (pools none and gram).",
            "Taps pooled to vectors.",
            "Extract with:  --pool gap --pool gmp",
        )
    found = []
    with (reporter or Reporter(quiet=True)).bar("Choose", len(taps), "candidates") as advance:
        for tap in taps:
            found.append(_judge(tap, features.X(tap, rows), targets, truth, groups))
            advance(1)
    found.sort(key=lambda each: (-each.loo_accuracy.value, each.loo_mse))
    return Ranking(tuple(found), len(rows), N_ALPHAS, groups is not None)


def _is_vector(features: Features, tap: TapSpec) -> bool:
    """Say whether a tap gives one vector an item; a whole activation may be one, or a map."""
    return tap.pool not in ("none", "gram") or features.X(tap.name, np.array([0])).ndim == 2


def _judge(tap: str, X: Array, targets: Array, truth: Array, groups: Array | None) -> Candidate:
    spectrum = Spectrum(X)
    alphas = alpha_grid(spectrum, N_ALPHAS)
    alpha, scores, error = best_alpha(spectrum, targets, alphas, groups)
    n_right = int((scores.argmax(axis=1) == truth).sum())
    return Candidate(tap, X.shape[1], alpha, wilson(n_right, len(X)), error)


def _check_labels(features: Features, labels: Array) -> None:
    known = {label for label in labels if label is not None}
    if len(known) < 2 or any(label is None for label in labels):
        raise DataError(
            f'A ranking of the taps of "{features.name}" was asked for.',
            f"Its {len(labels)} training rows have {len(known)} classes.",
            "Training rows (split train) that all have labels, of two classes or more.",
            "Extract from class folders or a manifest with the column `label`.",
        )
