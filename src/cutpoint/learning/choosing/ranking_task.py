"""What candidates are judged on: rows, targets, groups, folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.spec import TapSpec
from cutpoint.base.tongue import either, option
from cutpoint.base.types import Array, Float64
from cutpoint.features.store import Features
from cutpoint.items.reading import AUTO, names_in, tell_kind, values_of
from cutpoint.learning.gram import Targets
from cutpoint.learning.metrics import Interval, bootstrap, wilson
from cutpoint.learning.recipe import Recipe, fit_recipe
from cutpoint.learning.shared.folds import Folds, outer_folds, value_folds
from cutpoint.networks.pooling import kind_of


@dataclass(frozen=True)
class ChooseOptions:
    """What to try and how to judge it.

    Attributes
    ----------
    recipe : Recipe
        What all candidates go through.
    strategies : tuple of str
        Among `STRATEGIES`.
    kind : {"auto", "classes", "labels", "values"}
        Whether a label is one class, several (``"cat;dog"``), or a number; "auto": as `tell_kind`
        tells.
    balanced : bool
        Whether rows are weighted so that each class counts the same.
    nested : bool
        Whether to judge the whole choice, too, on rows left out of it.
    permute : int or None
        Seed to shuffle the training labels with, to see what choosing finds in nothing.
    taps : tuple of str
        Which to judge; all that are vectors if none are named.
    """

    recipe: Recipe = field(default_factory=Recipe)
    strategies: tuple[str, ...] = ("single", "fused")
    kind: str = AUTO
    balanced: bool = False
    nested: bool = False
    permute: int | None = None
    taps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """Training rows of some features, with what is to be told of them."""

    features: Features
    rows: Array
    targets: Targets
    groups: Array | None
    options: ChooseOptions

    @classmethod
    def of(cls, features: Features, options: ChooseOptions, rows: Array | None = None) -> Task:
        """Return the task of all training rows, or of some."""
        rows = training_rows(features) if rows is None else rows
        options = replace(options, kind=tell_kind(features.labels[rows], options.kind).name)
        refuse_unfit_recipe(options)
        targets = read_targets(features, rows, options.kind)
        if len(set(features.digests[rows])) < 2:
            raise _unlearnable(features.name, f"All {len(rows)} training items are equal")
        return cls(features, rows, targets, features.group_numbers(rows), options)

    @property
    def weights(self) -> Float64 | None:
        """What each row weighs, so that classes count the same; None if they don't."""
        return self.targets.balanced_weights() if self.options.balanced else None

    @property
    def row_weights(self) -> Float64:
        """The same, 1 each if rows are not weighted."""
        return np.ones(len(self.rows)) if self.weights is None else self.weights

    @property
    def n_units(self) -> int:
        """Rows, those of one group counted as one."""
        return len(self.rows) if self.groups is None else len(np.unique(self.groups))

    @property
    def n_classes(self) -> int:
        """0 where labels are no classes."""
        return self.targets.Y.shape[1] if self.targets.kind == "classes" else 0

    @property
    def rows_per_class(self) -> float:
        """Their mean over classes, rows of one group counted as one; of other labels all rows."""
        return self.n_units / max(self.n_classes, 1)

    @property
    def prior(self) -> Float64:
        """Class frequencies, (n_targets,), weighted as the rows are; zeros for other kinds."""
        if self.targets.kind != "classes":
            return np.zeros(self.targets.Y.shape[1])
        return np.asarray(np.average(self.targets.Y, axis=0, weights=self.row_weights))

    @cached_property
    def taps(self) -> tuple[str, ...]:
        """Names of the taps that the recipe can take, shallow to deep: vectors, or stored maps."""
        names = [tap.name for tap in self.features.spec.taps]
        if self.options.recipe.pools_maps:
            return self._maps(names)
        found = self.options.taps or tuple(n for n in names if is_vector(self.features, n))
        if not found:
            raise UsageError(
                f'No tap of "{self.features.name}" can be ranked.',
                "All of them hold whole activations or matrices (pools none, grid and gram).",
                "Taps pooled to vectors.",
                "Extract with:  " + either("pool=['gap', 'gmp']", "--pool gap --pool gmp"),
            )
        return found

    def _maps(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the taps that are stored maps, for pools that learn."""
        known = self.features.layouts
        found = tuple(n for n in names if n in known and not self.features.is_ragged(n))
        if not found:
            raise UsageError(
                f'The recipe "{self.options.recipe}" needs stored maps; "{self.features.name}" has '
                "none.",
                f"Taps: {', '.join(names)}.",
                "Taps kept with as many places an item, by the pools grid(n) and none, by this "
                "release.",
                'Extract with:  --pool "grid(4)"',
            )
        return found

    @cached_property
    def depths(self) -> dict[str, int]:
        """Layer → its place among those extracted, shallow to deep."""
        layers = dict.fromkeys(tap.layer for tap in self.features.spec.taps)
        return {layer: place for place, layer in enumerate(layers)}

    @cached_property
    def folds(self) -> Folds:
        """Places in `rows` to learn from and to judge, classes even, groups whole."""
        if self.targets.kind == "classes":
            return outer_folds(self.targets.truth, self.groups)
        return value_folds(len(self.rows), self.groups)

    def part(self, places: Array) -> Task:
        """Return the task of some of the rows."""
        rows, Y = self.rows[places], self.targets.Y[places]
        targets = replace(self.targets, Y=Y, truth=self.targets.truth[places])
        return replace(self, rows=rows, targets=targets, groups=self.features.group_numbers(rows))


def training_rows(features: Features) -> Array:
    """Return the rows of split train, all if the data has no splits; none without a label."""
    has_splits = any(split is not None for split in features.splits)
    rows = features.rows_of("train") if has_splits else np.arange(len(features))
    return rows[[label is not None for label in features.labels[rows]]]


def variance_lines(features: Features, recipe: Recipe) -> list[str]:
    """Return what each PCA of a recipe keeps, fitted on training rows; nothing without one."""
    if not any(stage.name == "pca" for stage in (*recipe.before, *recipe.after)):
        return []
    task = Task.of(features, ChooseOptions(recipe))
    fits = {
        taps: fit_recipe(recipe, features, taps, task.rows)[0]
        for taps in recipe.candidates(task.taps)
    }
    many = len(fits) > 1
    return [
        f"{taps[0]}: {line}" if many else line
        for taps, fitted in fits.items()
        for line in fitted.variance_lines()
    ]


def permuted(features: Features, seed: int) -> Features:
    """Return `features` with the labels of the training rows shuffled."""
    rows = training_rows(features)
    labels = features.labels.copy()
    labels[rows] = np.random.default_rng(seed).permutation(labels[rows])
    items = [
        [*row[:2], label, *row[3:]]
        for row, label in zip(features.fields["items"], labels, strict=True)
    ]
    return replace(features, fields={**features.fields, "items": items})


def read_targets(features: Features, rows: Array, kind: str) -> Targets:
    """Return the labels of some rows as targets.

    Raises
    ------
    DataError
        If labels are missing, are of one class, or are no numbers where they should be.
    """
    return targets_of(features.name, features.labels[rows], kind)


def targets_of(name: str, labels: Array, kind: str) -> Targets:
    """Return labels as targets; raises as `read_targets`, `name` the data's."""
    known = {label for label in labels if label is not None}
    if not known:
        raise _unlearnable(name, "None of its training items has a label")
    if len(known) < 2 or any(label is None for label in labels):
        raise _unlearnable(name, f"Its {len(labels)} training rows have {len(known)} classes")
    kind = tell_kind(labels, kind).name
    if kind == "classes":
        return Targets.of_classes(labels.astype(str))
    return _several(labels) if kind == "labels" else Targets.of_values(values_of(name, labels))


def outcomes_of(task: Task, scores: Array) -> Float64:
    """Return what each row adds to the score: right or not; or minus the squared error.

    A row whose class is in no row outside its group is not right: nothing was left to learn the
    class from, so a score that says so is a tie that rounding decided.
    """
    targets = task.targets
    if targets.kind == "values":
        return np.asarray(-np.square(scores - targets.Y).mean(axis=1), np.float64)
    right = np.asarray(targets.right(scores), np.float64)
    return right * _has_others(task) if targets.kind == "classes" else right


def _has_others(task: Task) -> Array:
    """Say of each row whether its class is in a row outside its group."""
    truth = task.targets.truth
    places = np.arange(len(truth)) if task.groups is None else task.groups
    pairs = np.unique(np.stack([truth, np.asarray(places)]), axis=1)[0]
    return np.asarray(np.bincount(pairs, minlength=int(truth.max()) + 1)[truth] > 1)


def with_priors(task: Task, scores: Array) -> Float64:
    """Return scores of rows left out, class frequencies held at those of all training rows.

    A model fitted without a row has seen its class more rarely, so where features tell nothing it
    names another class every time: accuracy far below chance. The frequencies are therefore taken
    as known; everything else about the row stays left out.
    """
    if task.targets.kind != "classes":
        return np.asarray(scores, np.float64)
    return np.asarray(scores - means_without(task) + task.prior, np.float64)


def means_without(task: Task) -> Float64:
    """Return the mean of the targets of all rows but those left out with it, for each row."""
    Y, weights = task.targets.Y, task.row_weights
    places = np.arange(len(Y)) if task.groups is None else task.groups
    _, group = np.unique(places, return_inverse=True)
    own_weight = np.bincount(group, weights)[group]
    own = np.zeros((group.max() + 1, Y.shape[1]))
    np.add.at(own, group, weights[:, None] * Y)
    rest: Float64 = (weights @ Y - own[group]) / (weights.sum() - own_weight)[:, None]
    return rest


def blind_losses(task: Task) -> Float64:
    """Return each row's squared error if it is left out and nothing is known of it, weighted."""
    with np.errstate(divide="ignore", invalid="ignore"):  # all rows are of one group
        scores = with_priors(task, means_without(task))
    losses: Float64 = np.square(scores - task.targets.Y).mean(axis=1) * task.row_weights
    return losses


def interval_of(task: Task, outcomes: Float64) -> Interval:
    """Return the score of rows left out, with its 95 % interval."""
    targets = task.targets
    if targets.kind == "classes" and task.weights is None:
        return wilson(int(outcomes.sum()), len(outcomes))
    if targets.kind != "values":
        return bootstrap(outcomes)
    variance = float(targets.Y.var(axis=0).mean())
    return bootstrap(1 + outcomes / variance)


def chance_of(task: Task) -> float:
    """Return what saying the same of every row would score at best."""
    targets = task.targets
    if targets.kind == "classes":
        return float(np.bincount(targets.truth, task.row_weights).max() / len(targets.truth))
    if targets.kind == "labels":
        shares = targets.Y.mean(axis=0)
        return float(np.maximum(shares, 1 - shares).mean())
    return 0.0


def _several(labels: Array) -> Targets:
    names = sorted(frozenset[str]().union(*map(names_in, labels)))
    return Targets.of_labels(zeros_and_ones(labels, names), names)


def zeros_and_ones(labels: Sequence[Any] | Array, names: Sequence[str]) -> Float64:
    """Return which item has which of several labels, (n_items, n_labels)."""
    return np.array([[name in own for name in names] for own in map(names_in, labels)], np.float64)


def is_vector(features: Features, tap: str) -> bool:
    """Say whether a tap gives one vector an item; a whole activation may be one, or a map."""
    kind = kind_of(TapSpec.from_name(tap).pool)
    if kind is None or kind.gives == "vector":
        return True
    return not features.is_ragged(tap) and features.X(tap, np.array([0])).ndim == 2


def refuse_unfit_recipe(options: ChooseOptions) -> None:
    """Raise `UsageError` if the recipe learns from classes and labels are none."""
    stages = (*options.recipe.before, *options.recipe.after)
    supervised = [stage.name for stage in stages if stage.needs_classes]
    if supervised and options.kind not in (AUTO, "classes"):
        raise UsageError(
            f'The recipe "{options.recipe}" can\'t learn from labels of kind {options.kind}.',
            f"{', '.join(supervised)} learns from classes.",
            "Stages that need no labels, or one class an item.",
            f"Type, for example:  {option('recipe', 'gap | pca(64)')}",
        )


def _unlearnable(name: str, what: str) -> DataError:
    return DataError(
        f'The taps of "{name}" can\'t be ranked.',
        f"{what}.",
        "Training rows (split train) that all have labels, of two classes or more.",
        either(
            "Extract with labels, for example:  cp.extract(items, labels=[…])",
            "Extract from class folders or a manifest with the column `label`.",
        ),
    )
