"""A recipe with what it learned: features by tap in, one matrix out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cutpoint.base.errors import LeakageError
from cutpoint.base.types import Array
from cutpoint.features.store import Features
from cutpoint.learning.heads import LearnedPoolHead, head_from_state
from cutpoint.learning.recipe.rows import aggregated
from cutpoint.learning.recipe.spelling import LEARNED, LEARNED_POOLS, Fitter, Recipe, parse_recipe
from cutpoint.learning.transforms import PCA, from_state


@dataclass(frozen=True)
class FittedRecipe:
    """A recipe with what it learned from training rows.

    Attributes
    ----------
    recipe : Recipe
    taps : tuple of str
        ``"layer/pool"``, in order.
    before : tuple of tuple of Transform
        For each tap; the first of them may be a pool that learned.
    after : tuple of Transform
    learned_from : frozenset of str
        Digests of the rows it was fitted on; empty if it learned nothing.
    """

    recipe: Recipe
    taps: tuple[str, ...]
    before: tuple[tuple[Fitter, ...], ...]
    after: tuple[Fitter, ...]
    learned_from: frozenset[str] = frozenset()

    @classmethod
    def plain(cls, tap: str) -> FittedRecipe:
        """Return the recipe that takes one tap as it is."""
        return cls(Recipe(), (tap,), ((),), ())

    def __str__(self) -> str:
        first, *rest = self.taps
        where = first if not rest else f"{len(self.taps)} taps, {first} … {rest[-1]}"
        done = str(self.recipe)
        return f"{where}: {done}" if done else where

    def transform(self, features: Mapping[str, Array]) -> Array:
        """Return one float matrix (n_items, n_features) from features by tap name."""
        parts = []
        for tap, transforms in zip(self.taps, self.before, strict=True):
            rows = features[tap]
            for transform in transforms:
                rows = transform.transform(rows)
            parts.append(rows)
        whole = aggregated(self.recipe.aggregate, parts, self.taps)
        for transform in self.after:
            whole = transform.transform(whole)
        return whole

    def of(self, features: Features, rows: Array, training: bool = False) -> Array:
        """Return the matrix of stored rows.

        Raises
        ------
        LeakageError
            If rows it learned from are asked for, and not by the name of training.
        """
        if not training:
            digests = zip(rows, features.digests[rows], strict=True)
            leaked = [row for row, digest in digests if digest in self.learned_from]
            if leaked:
                raise leak(features, leaked, "can't be scored by a recipe fitted on them")
        return self.transform({tap: features.X(tap, rows) for tap in self.taps})

    def feature_names(self, widths: Mapping[str, int]) -> list[str]:
        """Return a name for each column of the matrix, from the widths of the taps."""
        parts: list[Array] = []
        for tap, transforms in zip(self.taps, self.before, strict=True):
            names = np.array([f"{tap}[{column}]" for column in range(widths[tap])], dtype=object)
            for transform in transforms:
                names = transform.get_feature_names_out(names)
            parts.append(names)
        if self.recipe.aggregate in ("mean", "max"):
            whole = np.array(
                [f"{self.recipe.aggregate}[{n}]" for n in range(len(parts[0]))], object
            )
        else:
            whole = np.concatenate(parts)
        for transform in self.after:
            whole = transform.get_feature_names_out(whole)
        return [str(name) for name in whole]

    @property
    def tap_weights(self) -> dict[str, float]:
        """How much each tap counts, adding up to 1; empty unless `softmax` learned it."""
        if self.recipe.aggregate != LEARNED:
            return {}
        return dict(zip(self.taps, self.after[0].weights_.tolist(), strict=True))

    def weights_text(self) -> str:
        """Return `tap_weights` in one line."""
        return ", ".join(f"{tap} {weight:.2f}" for tap, weight in self.tap_weights.items())

    def variance_kept(self) -> list[dict[str, Any]]:
        """Return, of each PCA, its stage, tap (empty: the whole), columns, components and share.

        The share is that of the variance of its training rows, 0–1; JSON types.
        """
        chains = [
            (tap, self.recipe.before, each)
            for tap, each in zip(self.taps, self.before, strict=True)
        ]
        return [
            {
                "stage": str(stage),
                "tap": tap,
                "n_features": int(made.n_features_in_),
                "n_components": len(made.components_),
                "share": float(made.explained_variance_ratio_.sum()),
            }
            for tap, stages, chain in [*chains, ("", self.recipe.after, self.after)]
            for stage, made in zip(stages, chain, strict=True)
            if isinstance(made, PCA)
        ]

    def variance_lines(self) -> list[str]:
        """Say how much of the variance each PCA keeps, one line each."""
        return [
            f"{each['stage']}{' of ' + each['tap'] if each['tap'] else ''}: "
            f"{each['n_components']} components keep {100 * each['share']:.1f} % of the variance "
            f"of {each['n_features']} columns"
            for each in self.variance_kept()
        ]

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON types and arrays; `from_state` makes the same recipe of them."""
        arrays: dict[str, Array] = {}

        def kept(transform: Fitter, place: str) -> dict[str, Any]:
            fields, found = transform.to_state()
            arrays.update({f"{place}.{name}": array for name, array in found.items()})
            return {**fields, "place": place}

        before = [
            [kept(each, f"before.{tap}.{n}") for n, each in enumerate(transforms)]
            for tap, transforms in enumerate(self.before)
        ]
        after = [kept(each, f"after.{n}") for n, each in enumerate(self.after)]
        fields = {
            "text": str(self.recipe),
            "taps": list(self.taps),
            "before": before,
            "after": after,
        }
        return fields, arrays

    @classmethod
    def from_state(cls, fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> FittedRecipe:
        """Return what `to_state` described."""

        def read(stage: Mapping[str, Any]) -> Fitter:
            place = f"{stage['place']}."
            own = {n[len(place) :]: a for n, a in arrays.items() if n.startswith(place)}
            if stage["kind"] not in LEARNED_POOLS:
                return from_state(stage, own)
            pool = head_from_state(stage, own)
            assert isinstance(pool, LearnedPoolHead)  # of its kind
            pool.check_restored()
            return pool

        before = tuple(tuple(read(each) for each in tap) for tap in fields["before"])
        after = tuple(read(each) for each in fields["after"])
        made = cls(parse_recipe(fields["text"]), tuple(fields["taps"]), before, after)
        made._check_restored()
        return made

    def _check_restored(self) -> None:
        """Raise ValueError unless there is one transform a stage, each for what the last makes."""
        names = [[stage.name for stage in self.recipe.before]] * len(self.taps)
        after = [stage.name for stage in self.recipe.after]
        kinds = [[each.kind for each in tap] for tap in self.before]
        if not self.taps or kinds != names or [each.kind for each in self.after] != after:
            raise ValueError(f'its stages are not those of "{self.recipe}"')
        for chain in (*self.before, self.after):
            for earlier, later in pairwise(chain):
                if earlier.check_restored() != later.n_features_in_:
                    raise ValueError(f"{later.kind} takes not what {earlier.kind} makes")


def leak(features: Features, rows: Sequence[int], what: str) -> LeakageError:
    keys = [str(key) for key in features.keys[np.asarray(rows)]]
    shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return LeakageError(
        f'{len(keys)} rows of "{features.name}" {what}.',
        f"They are: {shown}.",
        "Rows of the training split to learn from, others to score.",
        'Choose rows with:  features.rows_of("train")',
    )
