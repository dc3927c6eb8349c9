"""Candidates of each strategy, judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cutpoint.choosing.candidate import STRATEGIES, Candidate
from cutpoint.choosing.columns import Sweep, head2toe
from cutpoint.choosing.ranking import Ranking
from cutpoint.choosing.task import Task, chance_of, interval_of, outcomes_of, with_priors
from cutpoint.errors import UsageError
from cutpoint.gram import (
    MAX_EXACT,
    Grams,
    GramSum,
    Spectrum,
    alpha_grid,
    greedy_forward,
    judge,
    loo_path,
    nonnegative_weights,
    normalised_gram,
)
from cutpoint.progress import Reporter
from cutpoint.recipe import Recipe, fit_recipe
from cutpoint.spec import TapSpec
from cutpoint.types import Array, Float64

N_ALPHAS = 20
Maker = Callable[[], Candidate]


def judge_all(task: Task, reporter: Reporter) -> Ranking:
    """Return the ranking of all candidates of a task."""
    makers = _makers(task)
    with reporter.bar("Choose", len(makers), "candidates") as advance:
        found = []
        for make in makers:
            found.append(make())
            advance(1)
    found.sort(key=lambda each: (each.error, -each.score.value))
    return Ranking(
        tuple(found),
        n_train=len(task.rows),
        n_alphas=N_ALPHAS,
        is_grouped=task.groups is not None,
        kind=task.targets.kind,
        recipe=str(task.options.recipe),
        n_folds=0 if task.options.recipe.is_exact else len(task.folds),
        chance=chance_of(task.targets),
    )


def _makers(task: Task) -> list[Maker]:
    """Return what makes each candidate, in order; nothing is computed yet."""
    recipe = task.options.recipe
    unknown = set(task.options.strategies) - set(STRATEGIES)
    if unknown or not task.options.strategies:
        raise UsageError(
            f"The strategies {', '.join(task.options.strategies) or 'none'} were asked for.",
            f"Unknown: {', '.join(sorted(unknown)) or 'all'}.",
            f"Strategies: {', '.join(STRATEGIES)}.",
            "Type, for example:  --strategy single --strategy fused",
        )
    makers: list[Maker] = []
    if "single" in task.options.strategies or recipe.aggregate:
        makers += [partial(judge_set, task, each, recipe) for each in recipe.candidates(task.taps)]
    if recipe.aggregate:  # the taps are one already
        return makers
    for strategy, make in _SEVERAL.items():
        if strategy in task.options.strategies:
            makers += [partial(make, task, taps) for taps in _pools(task.taps)]
    return makers


def _pools(taps: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the taps of each pool, and all of them; where there are several."""
    pools = dict.fromkeys(TapSpec.from_name(tap).pool for tap in taps)
    sets = [tuple(tap for tap in taps if TapSpec.from_name(tap).pool == pool) for pool in pools]
    sets += [tuple(taps)] if len(sets) > 1 else []
    return [each for each in sets if len(each) > 1]


def _fused(task: Task, taps: Sequence[str]) -> Candidate:
    return judge_set(task, taps, task.options.recipe.fused(), "fused")


def _greedy(task: Task, taps: Sequence[str]) -> Candidate:
    found = greedy_forward(_grams(task, taps), task.targets, task.groups)
    chosen = tuple(tap for tap in taps if tap in found.names)
    return judge_set(task, chosen, task.options.recipe.fused(), "greedy")


def _weighted(task: Task, taps: Sequence[str]) -> Candidate:
    found = nonnegative_weights(_grams(task, taps), task.targets, task.groups)
    # As many digits as the recipe's text keeps.
    weights = {tap: round(float(w), 4) for tap, w in zip(found.names, found.weights, strict=True)}
    chosen = tuple(tap for tap in taps if weights.get(tap, 0) > 0)
    recipe = task.options.recipe.fused(tuple(weights[tap] for tap in chosen))
    return judge_set(task, chosen, recipe, "weighted")


def _grams(task: Task, taps: Sequence[str]) -> Grams:
    def gram_of(tap: str) -> Float64:
        X = fit_recipe(task.options.recipe, task.features, (tap,), task.rows)[1]
        return normalised_gram(X)

    return Grams(taps, gram_of)


def _selected(task: Task, taps: Sequence[str], sweep: Sweep, strategy: str) -> Candidate:
    """Select columns on all rows; judge by doing so anew in folds."""
    everywhere = np.arange(len(task.rows))
    recipe = _selection(task, everywhere, taps, sweep)
    found = _judge_in_folds(task, taps, lambda learn: _selection(task, learn, taps, sweep))
    width = fit_recipe(recipe, task.features, taps, task.rows)[1].shape[1]
    return _candidate(task, taps, recipe, replace(found, width=width), strategy)


def _selection(task: Task, places: Array, taps: Sequence[str], sweep: Sweep) -> Recipe:
    part = task.part(places)
    parts = [fit_recipe(task.options.recipe, task.features, (t,), part.rows)[1] for t in taps]
    stages = head2toe(parts, part.targets.truth, part.groups, sweep).recipe
    return replace(stages, before=(*task.options.recipe.after, *stages.before))


_SEVERAL: dict[str, Callable[[Task, Sequence[str]], Candidate]] = {
    "fused": _fused,
    "greedy": _greedy,
    "weighted": _weighted,
    "head2toe": partial(_selected, sweep=Sweep(), strategy="head2toe"),
    "ridge_norm": partial(_selected, sweep=Sweep("ridge_norm"), strategy="ridge_norm"),
}


def judge_set(
    task: Task, taps: Sequence[str], recipe: Recipe, strategy: str = "single"
) -> Candidate:
    """Return some taps, made one by a recipe, as a candidate."""
    if recipe.is_exact:
        return _candidate(task, taps, recipe, _exactly(task, taps, recipe), strategy)
    found = _judge_in_folds(task, taps, lambda learn: recipe)
    return _candidate(task, taps, recipe, found, strategy)


def _candidate(
    task: Task, taps: Sequence[str], recipe: Recipe, found: _Found, strategy: str
) -> Candidate:
    outcomes = outcomes_of(task.targets, found.scores)
    layers = [TapSpec.from_name(tap).layer for tap in taps]
    deepest = max(layers, key=lambda layer: task.depths[layer])
    return Candidate(
        taps=tuple(taps),
        width=found.width,
        alpha=found.alpha,
        score=interval_of(task.targets, outcomes),
        error=found.error,
        evidence=found.evidence,
        recipe=str(recipe),
        strategy=strategy,
        n_folds=found.n_folds,
        depth=task.depths[deepest],
        macs=task.features.macs.get(deepest),
        outcomes=outcomes,
        losses=np.square(found.scores - task.targets.Y).mean(axis=1),
    )


@dataclass(frozen=True)
class _Found:
    """What judging gives, exactly or in folds."""

    alpha: float
    error: float
    scores: Float64
    width: int
    evidence: float | None = None
    n_folds: int = 0


def _exactly(task: Task, taps: Sequence[str], recipe: Recipe) -> _Found:
    is_sum = len(taps) > 1 and [stage.name for stage in recipe.after] == ["fuse"]
    if is_sum and len(task.rows) <= MAX_EXACT:
        spectrum = _summed(task, taps, recipe)
        found = judge(spectrum, task.targets, N_ALPHAS, task.groups)
        width = spectrum.n_features
    else:
        X = fit_recipe(recipe, task.features, taps, task.rows)[1]
        found = judge(X, task.targets, N_ALPHAS, task.groups, task.weights)
        width = X.shape[1]
    scores = with_priors(task, found.scores)
    return _Found(found.alpha, found.loo_mse, scores, width, found.log_evidence)


def _summed(task: Task, taps: Sequence[str], recipe: Recipe) -> Spectrum:
    """Return the spectrum of fused taps; they are read one at a time, and only the sum is kept."""
    each = replace(recipe, before=(), aggregate="", after=recipe.before)
    weights = dict(recipe.after[0].arguments).get("weights", (1.0,) * len(taps))
    total = GramSum(len(task.rows))
    for tap, weight in zip(taps, weights, strict=True):
        total.add(tap, fit_recipe(each, task.features, (tap,), task.rows)[1], weight)
    return total.spectrum(task.weights)


def _judge_in_folds(
    task: Task, taps: Sequence[str], recipe_of: Callable[[Array], Recipe]
) -> _Found:
    """Choose and fit recipe, λ and head on each fold's training rows, judge its others."""
    scores = np.zeros(task.targets.Y.shape)
    alphas, width = [], 0
    for learn, others in task.folds:
        found = fit_and_score(task, learn, others, taps, recipe_of(learn))
        alphas.append(found.alpha)
        scores[others], width = found.scores, found.width
    error = float(np.square(scores - task.targets.Y).mean())
    return _Found(float(np.median(alphas)), error, scores, width, n_folds=len(task.folds))


def fit_and_score(
    task: Task, learn: Array, others: Array, taps: Sequence[str], recipe: Recipe
) -> _Found:
    """Fit recipe, λ and ridge on some places of the task's rows, score others; `error` is LOO."""
    part = task.part(learn)
    fitted, X = fit_recipe(recipe, task.features, taps, part.rows)
    spectrum = Spectrum(X, part.weights)
    path = loo_path(spectrum, part.targets.Y, alpha_grid(spectrum, N_ALPHAS), part.groups)
    solution = spectrum.solve(part.targets.Y, path.alpha)
    rows = fitted.of(task.features, task.rows[others])
    scores = rows @ solution.coef.T + solution.intercept
    return _Found(path.alpha, path.mse, scores, X.shape[1])
