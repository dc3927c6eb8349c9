"""Which candidates there are, by strategy; all of them judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np

from cutpoint.base.arguments import check_seed
from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import TapSpec
from cutpoint.base.tongue import either, option
from cutpoint.base.types import Array, Float64
from cutpoint.items.reading import AUTO, check_kind
from cutpoint.learning.choosing.candidate import STRATEGIES, Candidate
from cutpoint.learning.choosing.head2toe_columns import Sweep, head2toe
from cutpoint.learning.choosing.judge_taps import (
    N_ALPHAS,
    Choice,
    as_candidate,
    judge_in_folds,
    judge_set,
)
from cutpoint.learning.choosing.prior_taps import kind_defaults, prior_taps
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.learning.choosing.ranking_task import (
    ChooseOptions,
    Task,
    blind_losses,
    chance_of,
    refuse_unfit_recipe,
)
from cutpoint.learning.gram import (
    MAX_EXACT,
    Grams,
    greedy_forward,
    nonnegative_weights,
    normalised_gram,
)
from cutpoint.learning.recipe import fit_recipe
from cutpoint.networks.runtimes.threads import side_by_side

Maker = Callable[[], Candidate]
N_WEIGHINGS = 30  # sets of weights that are compared
MAX_BYTES = 2 * 2**30  # of candidates that are judged side by side
ROUNDING = 1e-5  # share of a row's length by which equal rows may differ (1e-6 by batch shape)
N_FIRST = 64


def judge_all(task: Task, reporter: Reporter) -> Ranking:
    """Return the ranking of all candidates of a task."""
    task, skipped = without_constant(task)
    makers, dear = _makers(task)
    found = []
    with reporter.bar("Choose", len(makers) + len(dear), "candidates") as advance:
        for candidate in chain(side_by_side(makers, _at_once(task)), (make() for make in dear)):
            found.append(candidate)
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
        chance=chance_of(task),
        prior_taps=prior_taps(task),
        last_pool=kind_defaults(task).priors[0].pool,
        n_to_choose=kind_defaults(task).n_to_choose,
        skipped=skipped,
        groups=task.groups,
        blind_losses=blind_losses(task),
    )


def without_constant(task: Task) -> tuple[Task, tuple[str, ...]]:
    """Return the task without the taps that are the same for all its rows, and their names.

    A class token where tokens enter a network is: one token, at one place. What is left of its
    spread is rounding, which fusing would blow up to the size of the others.
    """
    if task.options.recipe.pools_maps:
        return task, ()
    same = tuple(tap for tap in task.taps if _is_constant(task, tap))
    kept = tuple(tap for tap in task.taps if tap not in same)
    if not same or not kept:
        return task, ()
    return replace(task, options=replace(task.options, taps=kept)), same


def _is_constant(task: Task, tap: str) -> bool:
    """Say whether a tap's rows are the same; all rows are read where the first don't differ."""
    parts = (task.rows[:N_FIRST], task.rows)
    return all(_same_rows(task.features.X(tap, rows)) for rows in parts)


def _same_rows(X: Array) -> bool:
    X = X.reshape(len(X), -1).astype(np.float64)
    return bool(np.square(X - X.mean(axis=0)).sum() <= ROUNDING**2 * np.square(X).sum())


def _makers(task: Task) -> tuple[list[Maker], list[Maker]]:
    """Return what makes each candidate; nothing is computed yet.

    First those that can be made side by side: one decomposition each, in NumPy alone. What learns
    more draws from generators that all threads share, or holds Gram matrices of all layers.
    """
    recipe, strategies = task.options.recipe, task.options.strategies
    check_options(task.options, len(task.rows))
    makers: list[Maker] = []
    dear: list[Maker] = []
    if "single" in strategies or recipe.aggregate:
        makers += [partial(judge_set, task, each, recipe) for each in recipe.candidates(task.taps)]
    if not recipe.aggregate:  # else the taps are one already
        for strategy in strategies:
            if strategy in _SEVERAL:
                sets = _sets(task) if strategy == "fused" else _pools(task.taps)
                more = [partial(_SEVERAL[strategy], task, taps) for taps in sets]
                (makers if strategy == "fused" else dear).extend(more)
    if not recipe.is_exact:
        makers, dear = [], makers + dear
    if not (makers or dear):
        raise _refused(
            task.options,
            f"There is one tap, {task.taps[0]}, and nothing to make it one with",
            "Two taps or more, or the strategy single",
        )
    return makers, dear


def _at_once(task: Task) -> int:
    """Return how many candidates memory is granted to at once.

    Each holds its features in single and double precision, and some six matrices of rows × rows:
    the Gram matrix, copies, its vectors and what LAPACK works in (seen: 6.2 at 2500 rows).
    """
    n_rows, one = len(task.rows), task.rows[:1]
    widths = [task.features.X(tap, one).size for tap in task.taps]  # of maps, all places
    is_joined = task.options.recipe.aggregate or n_rows > MAX_EXACT  # else sums, tap by tap
    width = sum(widths) if is_joined else max(widths)
    return MAX_BYTES // (6 * 8 * min(n_rows, MAX_EXACT) ** 2 + 12 * n_rows * width)


def _pools(taps: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the taps of each pool, and all of them; where there are several."""
    pools = dict.fromkeys(TapSpec.from_name(tap).pool for tap in taps)
    sets = [tuple(tap for tap in taps if TapSpec.from_name(tap).pool == pool) for pool in pools]
    sets += [tuple(taps)] if len(sets) > 1 else []
    return [each for each in sets if len(each) > 1]


def _sets(task: Task) -> list[tuple[str, ...]]:
    """Return the sets of taps that are fused: the prior's, and those of `_pools`."""
    prior = [taps] if len(taps := prior_taps(task)) > 1 else []
    return list(dict.fromkeys([*prior, *_pools(task.taps)]))


def _fused(task: Task, taps: Sequence[str]) -> Candidate:
    return judge_set(task, taps, task.options.recipe.fused(), "fused")


def _chosen(
    task: Task,
    taps: Sequence[str],
    strategy: str,
    choose: Callable[[Task, Sequence[str]], tuple[Choice, int]],
) -> Candidate:
    """Choose on all rows; judge by choosing anew in folds, as the choice saw the rows."""
    choice, n_tried = choose(task, taps)
    found = judge_in_folds(task, lambda part: choose(part, taps)[0])
    width = fit_recipe(choice[1], task.features, choice[0], task.rows)[1].shape[1]
    return as_candidate(task, choice, replace(found, width=width), strategy, n_tried)


def _greedy(task: Task, taps: Sequence[str]) -> tuple[Choice, int]:
    found = greedy_forward(_grams(task, taps), task.targets, task.groups)
    chosen = tuple(tap for tap in taps if tap in found.names)
    n_steps = min(len(chosen) + 1, len(taps))
    n_tried = sum(len(taps) - step for step in range(n_steps))
    return (chosen, task.options.recipe.fused()), n_tried


def _weighted(task: Task, taps: Sequence[str]) -> tuple[Choice, int]:
    found = nonnegative_weights(_grams(task, taps), task.targets, task.groups, N_WEIGHINGS)
    # As many digits as the recipe's text keeps.
    weights = {tap: round(float(w), 4) for tap, w in zip(found.names, found.weights, strict=True)}
    chosen = tuple(tap for tap in taps if weights.get(tap, 0) > 0)
    recipe = task.options.recipe.fused(tuple(weights[tap] for tap in chosen))
    return (chosen, recipe), N_WEIGHINGS


def _selected(task: Task, taps: Sequence[str], sweep: Sweep) -> tuple[Choice, int]:
    recipe = task.options.recipe
    parts = [fit_recipe(recipe, task.features, (tap,), task.rows)[1] for tap in taps]
    selection = head2toe(parts, task.targets.truth, task.groups, sweep)
    stages = selection.recipe
    chosen = replace(stages, before=(*recipe.after, *stages.before))
    return (tuple(taps), chosen), selection.n_tried


_SEVERAL: dict[str, Callable[[Task, Sequence[str]], Candidate]] = {
    "fused": _fused,
    "greedy": partial(_chosen, strategy="greedy", choose=_greedy),
    "weighted": partial(_chosen, strategy="weighted", choose=_weighted),
    "head2toe": partial(_chosen, strategy="head2toe", choose=partial(_selected, sweep=Sweep())),
    "ridge_norm": partial(
        _chosen, strategy="ridge_norm", choose=partial(_selected, sweep=Sweep("ridge_norm"))
    ),
}
_OF_GRAMS = {"greedy", "weighted"}
_OF_CLASSES = {"head2toe", "ridge_norm"}


def _grams(task: Task, taps: Sequence[str]) -> Grams:
    def gram_of(tap: str) -> Float64:
        X = fit_recipe(task.options.recipe, task.features, (tap,), task.rows)[1]
        return normalised_gram(X)

    return Grams(taps, gram_of)


def check_options(options: ChooseOptions, n_rows: int = 0) -> None:
    """Raise `UsageError` unless all strategies are known and can serve so many training rows."""
    check_kind(options.kind)
    if options.permute is not None:
        check_seed(options.permute, "permute_labels")
    if options.balanced and options.kind not in (AUTO, "classes"):
        raise UsageError(
            f"Rows with labels of kind {options.kind} can't be balanced.",
            "Balancing weighs rows so that classes count the same.",
            "One class an item, or rows that are not weighted.",
            f"Leave out {option('balanced')}",
        )
    refuse_unfit_recipe(options)
    asked = set(options.strategies)
    unknown = asked - set(STRATEGIES)
    if unknown or not asked:
        what = f"Unknown: {', '.join(sorted(map(str, unknown))) or 'all'}"
        raise _refused(options, what, f"Strategies: {', '.join(STRATEGIES)}")
    if options.recipe.aggregate and asked - {"single", "fused"}:
        what = f'The recipe "{options.recipe}" makes the taps one itself'
        raise _refused(options, what, "A recipe that leaves the taps apart, or strategy single")
    if options.kind not in (AUTO, "classes") and asked & _OF_CLASSES:
        what = (
            f"Labels are {options.kind}, and {', '.join(sorted(asked & _OF_CLASSES))} need classes"
        )
        raise _refused(options, what, "One class an item, or other strategies")
    if n_rows > MAX_EXACT and asked & _OF_GRAMS:
        what = f"{n_rows} rows need a matrix of as many rows and columns a layer"
        raise _refused(options, what, f"Up to {MAX_EXACT} training rows, or other strategies")


def _refused(options: ChooseOptions, what: str, would_do: str) -> UsageError:
    return UsageError(
        f"No choice by strategy {', '.join(map(str, options.strategies)) or 'none'}.",
        f"{what}.",
        f"{would_do}.",
        "Type, for example:  "
        + either("strategy=['single', 'fused']", "--strategy single --strategy fused"),
    )
