"""Head2Toe: the few features of all layers together that a task needs.

Every tap's row is brought to length 1, all are put side by side, a penalised head scores the
columns, and the best share of them, normalised anew, goes to a plain head. How large a share is
decided by the exact leave-one-out error of a ridge head on what is kept. The selection saw the
rows that are left out there, so that error only compares shares; the honest figure comes from
folds, in which all of it is done anew without the rows that are judged.

Source: Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer
Learning", 2022. There, the head is trained by Adam and the share chosen by cross-validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Float64
from cutpoint.features.store import Features
from cutpoint.learning.gram import Spectrum, one_hot
from cutpoint.learning.heads import RidgeHead
from cutpoint.learning.heads.ridge import best_alpha
from cutpoint.learning.metrics import Interval, McNemar, mcnemar, wilson
from cutpoint.learning.recipe import Recipe, fit_recipe, parse_recipe
from cutpoint.learning.shared.folds import outer_folds
from cutpoint.learning.transforms import GroupLasso, RidgeNormSelect, l2_normalise
from cutpoint.learning.transforms.proximal import largest_penalty
from cutpoint.learning.transforms.select import n_to_keep, top

FRACTIONS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# Shares of the λ that drops every column. On 2096 columns of chest X-rays a fifth of the last left
# the error as it was (.0491 for .0493 at 20 %), the second can score 16 % of them only.
PENALTIES = (0.1, 0.01, 0.001)
METHODS = ("group_lasso", "ridge_norm")


@dataclass(frozen=True)
class Sweep:
    """What to try.

    Attributes
    ----------
    method : {"group_lasso", "ridge_norm"}
        Scores ``Σ_j w_ij²`` of a head with group lasso, or of a ridge head, which costs less.
    fractions : tuple of float
        Shares of the columns, in (0, 1].
    penalties : tuple of float
        λ of the group lasso, as shares of the one that drops every column.
    compat : {"", "google"}
        ``"google"`` rounds the number of columns down, as the published code does.

    Notes
    -----
    The published option ``group_lrp_is_embedding`` (one group a tap) ignores its coefficient: the
    weight is 1 always. Rows of length 1 pull no tap's weights harder than √(1 − Σ π_c²) < 1, π
    the shares of the classes, so the minimum of that loss is no weights at all; what the published
    code then ranks is where Adam stopped. There is nothing exact to reproduce, and no such option.
    """

    method: str = "group_lasso"
    fractions: tuple[float, ...] = FRACTIONS
    penalties: tuple[float, ...] = PENALTIES
    compat: str = ""

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.compat not in ("", "google"):
            raise UsageError(
                f'No Head2Toe with method "{self.method}" and compat "{self.compat}".',
                "One of the two words is unknown.",
                f'Methods {", ".join(METHODS)}; compat "" or "google".',
                'Type, for example:  Sweep(method="ridge_norm")',
            )

    def keep(self, fraction: float, n_features: int) -> float | int:
        """Return what to keep, as the selecting transforms take it."""
        return max(1, int(fraction * n_features)) if self.compat == "google" else fraction


@dataclass(frozen=True)
class Selection:
    """The columns that are kept.

    Attributes
    ----------
    stage : str
        The recipe's stage that keeps them, ``"group_lasso(keep=0.05, penalty=0.002)"``; empty if
        all are kept.
    columns : int array of shape (n_kept,)
        Places among the columns of all taps, ascending.
    n_of_taps : tuple of int
        How many of each tap.
    alpha, loo_mse : float
        λ of the ridge head on them, and its leave-one-out squared error. Too good: the selection
        saw the rows.
    n_tried : int
        Selections that were compared.
    """

    stage: str
    columns: Array
    n_of_taps: tuple[int, ...]
    alpha: float
    loo_mse: float
    n_tried: int

    @property
    def recipe(self) -> Recipe:
        """The same as stages from taps to head."""
        stages = ["l2", "concat", *([self.stage, "tap_l2"] if self.stage else [])]
        return parse_recipe(" | ".join(stages))

    def transform(self, parts: Sequence[Array]) -> Array:
        """Return the kept columns of rows, each tap's of length 1: (n_items, n_kept)."""
        return _renormalised(_joined(parts), self.columns, self.n_of_taps)


@dataclass(frozen=True)
class FoldScores:
    """What the selection is worth on rows that neither it nor the head has seen.

    Attributes
    ----------
    accuracy, plain_accuracy : Interval
        With the selection; with all columns. Wilson, 95 %.
    comparison : McNemar
        The two on the same rows.
    stages : tuple of str
        What each fold chose.
    """

    accuracy: Interval
    plain_accuracy: Interval
    comparison: McNemar
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Head2ToeFigures:
    """The selection on all training rows, and its honest scores.

    Attributes
    ----------
    taps : tuple of str
    selection : Selection
    folds : FoldScores
    """

    taps: tuple[str, ...]
    selection: Selection
    folds: FoldScores

    @property
    def is_better(self) -> bool:
        """Whether the selection got more rows right than all columns, in the same folds."""
        return self.folds.accuracy.value > self.folds.plain_accuracy.value

    def __str__(self) -> str:
        found, folds = self.selection, self.folds
        return (
            f"{len(found.columns)} columns of {np.count_nonzero(found.n_of_taps)} taps kept "
            f"({found.stage or 'all'}), the best of {found.n_tried} selections. "
            f"{len(folds.stages)}-fold accuracy {folds.accuracy}, with all columns "
            f"{folds.plain_accuracy}; {folds.comparison}."
        )


def head2toe(
    parts: Sequence[Array], labels: Array, groups: Array | None = None, sweep: Sweep | None = None
) -> Selection:
    """Select columns of several taps on training rows.

    Parameters
    ----------
    parts : sequence of arrays of shape (n_items, width of the tap)
        Pooled features, one array a tap.
    labels : array of shape (n_items,)
        Two classes or more.
    groups : array of shape (n_items,), optional
        Rows of one group are left out together.
    sweep : Sweep, optional

    Returns
    -------
    selection : Selection
        That of the least leave-one-out squared error; of equal ones the first tried, fewer columns
        first. Columns of equal scores are kept in the order of their places.
    """
    sweep = sweep or Sweep()
    X = _joined(parts)
    widths = tuple(part.shape[1] for part in parts)
    taps = np.repeat(np.arange(len(widths)), widths)
    classes, truth = np.unique(labels, return_inverse=True)
    targets = one_hot(truth, range(len(classes)))
    best: Selection | None = None
    n_tried = 0
    for stage, scores, fraction in _candidates(X, truth, targets, sweep):
        keep = sweep.keep(fraction, len(scores))
        columns = np.flatnonzero(top(scores, keep))
        counts = tuple(int(n) for n in np.bincount(taps[columns], minlength=len(widths)))
        kept = _renormalised(X, columns, counts)
        alpha, _, error = best_alpha(Spectrum(kept), targets, groups=groups)
        n_tried += 1
        if best is None or error < best.loo_mse:
            best = Selection(stage.format(keep=keep), columns, counts, alpha, error, 0)
    if best is None:
        raise UsageError(
            "Head2Toe has no share of the columns to try.",
            "None of the shares can be filled by the scores.",
            "Shares in (0, 1]; 1.0 keeps all columns.",
            "Type, for example:  Sweep(fractions=(0.01, 0.1, 1.0))",
        )
    return replace(best, n_tried=n_tried)


def judge_head2toe_in_folds(
    parts: Sequence[Array], labels: Array, groups: Array | None = None, sweep: Sweep | None = None
) -> FoldScores:
    """Return the accuracy of `head2toe` and a ridge head, both fitted anew in each of five folds.

    Parameters
    ----------
    parts, labels, groups, sweep
        As in `head2toe`.
    """
    truth = np.unique(labels, return_inverse=True)[1]
    right, plain_right = np.zeros(len(truth), bool), np.zeros(len(truth), bool)
    stages = []
    for learn, judge in outer_folds(truth, groups):
        inner = None if groups is None else groups[learn]
        seen, others = [part[learn] for part in parts], [part[judge] for part in parts]
        found = head2toe(seen, truth[learn], inner, sweep)
        stages.append(found.stage)
        for answers, make in ((right, found.transform), (plain_right, _joined)):
            head = RidgeHead().fit(make(seen), truth[learn], inner)
            answers[judge] = head.predict(make(others)) == truth[judge]
    return FoldScores(
        wilson(int(right.sum()), len(truth)),
        wilson(int(plain_right.sum()), len(truth)),
        mcnemar(right, plain_right),
        tuple(stages),
    )


def head2toe_recipe(
    features: Features,
    taps: Sequence[str],
    rows: Array,
    groups: Array | None = None,
    sweep: Sweep | None = None,
) -> tuple[Recipe, Head2ToeFigures]:
    """Return a recipe that keeps what `head2toe` chose on training rows, and the figures.

    Parameters
    ----------
    features : Features
    taps : sequence of str
        ``"layer/pool"``, of vectors; ``h2t(T)`` is the paper's own pool.
    rows : int array
        Training rows.
    groups : array of shape (n_rows,), optional
        `Features.group_numbers` by default: groups and copies are left out together.
    sweep : Sweep, optional

    Returns
    -------
    recipe : Recipe
        ``l2 | concat | group_lasso(keep=…, penalty=…) | tap_l2``; ``l2 | concat`` if all columns
        are kept. `fit_recipe` on the same taps and rows gives the same columns.
    figures : Head2ToeFigures

    Raises
    ------
    LeakageError
        If one of the rows is of the test split.
    """
    parts = [fit_recipe(Recipe(), features, (tap,), rows)[1] for tap in taps]
    labels = features.labels[rows].astype(str)
    groups = features.group_numbers(rows) if groups is None else groups
    selection = head2toe(parts, labels, groups, sweep)
    folds = judge_head2toe_in_folds(parts, labels, groups, sweep)
    return selection.recipe, Head2ToeFigures(tuple(taps), selection, folds)


def _candidates(
    X: Array, truth: Array, targets: Float64, sweep: Sweep
) -> Iterator[tuple[str, Float64, float]]:
    """Yield a stage to fill in, its scores, and each share that has so many scores above zero.

    Beyond those, columns would be kept for their place alone. All columns are tried once, last.
    """
    shares = sorted(share for share in sweep.fractions if share != 1.0)
    for stage, scores in _scored(X, truth, targets, sweep) if shares else ():
        n_scored = int((scores > 0).sum())
        for share in shares:
            if n_to_keep(share, len(scores)) <= n_scored:
                yield stage, scores, share
    if 1.0 in sweep.fractions:
        yield "", np.ones(X.shape[1]), 1.0


def _scored(
    X: Array, truth: Array, targets: Float64, sweep: Sweep
) -> Iterator[tuple[str, Float64]]:
    if sweep.method == "ridge_norm":
        yield "ridge_norm(keep={keep})", RidgeNormSelect(1.0).fit(X, truth).scores_
        return
    largest = largest_penalty(X.astype(np.float64), targets)
    for share in sweep.penalties:
        penalty = float(f"{share * largest:.3g}")  # as many digits as a person would read
        scores = GroupLasso(1.0, penalty).fit(X, truth).scores_
        yield f"group_lasso(keep={{keep}}, penalty={penalty})", scores


def _joined(parts: Sequence[Array]) -> Array:
    """Return all taps' columns, each tap's row of length 1."""
    if not parts or any(part.ndim != 2 for part in parts):
        raise ShapeError(
            "Head2Toe takes vectors alone.",
            f"The taps have shapes {', '.join(str(part.shape) for part in parts) or 'of nothing'}.",
            "One array (n_items, n_features) a tap.",
            f"Extract with:  {option('pool', 'gap')}",
        )
    return np.concatenate([l2_normalise(part) for part in parts], axis=1)


def _renormalised(X: Array, columns: Array, n_of_taps: Sequence[int]) -> Array:
    """Return some columns, each tap's part of a row of length 1 again."""
    return l2_normalise(X[:, columns], tuple(count for count in n_of_taps if count))
