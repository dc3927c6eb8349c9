"""Some taps, made one by a recipe, judged on rows left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cutpoint.base.spec import TapSpec
from cutpoint.base.types import Array, Float64
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.ranking_task import Task, interval_of, outcomes_of, with_priors
from cutpoint.learning.gram import (
    MAX_EXACT,
    GramSum,
    Spectrum,
    alpha_grid,
    judge,
    loo_path,
    spectrum_of,
)
from cutpoint.learning.recipe import Recipe, fit_recipe

N_ALPHAS = 20
Choice = tuple[tuple[str, ...], Recipe]
"""Taps, and what makes them one."""


@dataclass(frozen=True)
class Found:
    """What judging gives.

    Attributes
    ----------
    alpha : float
    scores : float64 array of shape (n_items, n_targets)
        For rows left out, class frequencies held at those of all training rows.
    width : int
    evidence : float or None
        None if it is not finite, or rows were left out in folds.
    n_folds : int
        0: one by one.
    is_exact : bool
        Whether the features themselves were judged, not landmarks in their place.
    """

    alpha: float
    scores: Float64
    width: int
    evidence: float | None = None
    n_folds: int = 0
    is_exact: bool = True


def judge_set(
    task: Task, taps: Sequence[str], recipe: Recipe, strategy: str = "single"
) -> Candidate:
    """Return some taps, made one by a recipe, as a candidate: exactly, or in folds if it learns."""
    choice = (tuple(taps), recipe)
    found = (
        judge_exactly(task, *choice) if recipe.is_exact else judge_in_folds(task, _always(choice))
    )
    return as_candidate(task, choice, found, strategy)


def as_candidate(
    task: Task, choice: Choice, found: Found, strategy: str, n_tried: int = 1
) -> Candidate:
    """Return what was found as a candidate; `n_tried` choices were compared on the same rows."""
    taps, recipe = choice
    outcomes = outcomes_of(task, found.scores) * task.row_weights
    losses = np.square(found.scores - task.targets.Y).mean(axis=1) * task.row_weights
    layers = [TapSpec.from_name(tap).layer for tap in taps]
    deepest = max(layers, key=lambda layer: task.depths[layer])
    return Candidate(
        taps=taps,
        width=found.width,
        alpha=found.alpha,
        score=interval_of(task, outcomes),
        error=float(losses.mean()),
        evidence=found.evidence,
        recipe=str(recipe),
        strategy=strategy,
        n_folds=found.n_folds,
        n_tried=n_tried,
        is_exact=found.is_exact,
        depth=task.depths[deepest],
        macs=task.features.macs.get(deepest),
        outcomes=outcomes,
        losses=losses,
    )


def judge_exactly(task: Task, taps: Sequence[str], recipe: Recipe) -> Found:
    """Leave rows out one by one, or group by group, from one eigendecomposition."""
    is_sum = [stage.name for stage in recipe.after] == ["fuse"] and len(taps) > 1
    if is_sum and len(task.rows) <= MAX_EXACT and _width(task, taps, recipe) > len(task.rows):
        spectrum = _summed(task, taps, recipe)
    else:
        X = fit_recipe(recipe, task.features, taps, task.rows)[1]
        spectrum = spectrum_of(X, task.weights)
    # Where a fold has lost a class its column is constant, and its evidence not finite.
    with np.errstate(divide="ignore", invalid="ignore"):
        found = judge(spectrum, task.targets, N_ALPHAS, task.groups)
    return Found(
        alpha=found.alpha,
        scores=with_priors(task, found.scores),
        width=spectrum.n_features if spectrum.is_exact else X.shape[1],
        evidence=found.log_evidence if np.isfinite(found.log_evidence) else None,
        is_exact=found.is_exact,
    )


def judge_in_folds(task: Task, choose: Callable[[Task], Choice]) -> Found:
    """Choose and fit everything on each fold's training rows, judge its others.

    `choose` sees the task of the rows to learn from, and no other.
    """
    scores = np.zeros(task.targets.Y.shape)
    alphas, width = [], 0
    for learn, others in task.folds:
        part = task.part(learn)
        found = fit_and_score(task, learn, others, *choose(part))
        alphas.append(found.alpha)
        scores[others], width = found.scores + task.prior - part.prior, found.width
    return Found(float(np.median(alphas)), scores, width, n_folds=len(task.folds))


def fit_and_score(
    task: Task, learn: Array, others: Array, taps: Sequence[str], recipe: Recipe
) -> Found:
    """Fit recipe, λ and ridge on some places of the task's rows; return the scores of others."""
    part = task.part(learn)
    fitted, X = fit_recipe(recipe, task.features, taps, part.rows)
    spectrum = Spectrum(X, part.weights)
    path = loo_path(spectrum, part.targets.Y, alpha_grid(spectrum, N_ALPHAS), part.groups)
    solution = spectrum.solve(part.targets.Y, path.alpha)
    rows = fitted.of(task.features, task.rows[others])
    scores = rows @ solution.coef.T + solution.intercept
    return Found(path.alpha, scores, X.shape[1])


def _always(choice: Choice) -> Callable[[Task], Choice]:
    return lambda part: choice


def _width(task: Task, taps: Sequence[str], recipe: Recipe) -> int:
    """Return how many columns fused taps have, by one row of each."""
    one = task.rows[:1]
    return sum(fit_recipe(_alone(recipe), task.features, (tap,), one)[1].shape[1] for tap in taps)


def _summed(task: Task, taps: Sequence[str], recipe: Recipe) -> Spectrum:
    """Return the spectrum of fused taps; they are read one at a time, and only the sum is kept."""
    weights = dict(recipe.after[0].arguments).get("weights", (1.0,) * len(taps))
    total = GramSum(len(task.rows))
    for tap, weight in zip(taps, weights, strict=True):
        X = fit_recipe(_alone(recipe), task.features, (tap,), task.rows)[1]
        total.add(tap, X, weight)
    return total.spectrum(task.weights)


def _alone(recipe: Recipe) -> Recipe:
    """Return what a fused recipe does to each tap."""
    return replace(recipe, before=(), aggregate="", after=recipe.before)
