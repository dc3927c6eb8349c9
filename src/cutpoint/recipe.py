"""What happens between taps and a head, in one line a person can type and read.

``"gem | l2 | concat | power(0.5) | pca(512, whiten) | l2"``: stages separated by ``|``, in order:
which taps (`stages`), how they are pooled, what is done to each tap alone, how taps become one
(`concat`, `mean`, `max`, `softmax`), and what is done to the whole. Each stage is one transform,
fitted on training rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cutpoint.errors import LeakageError, UsageError
from cutpoint.layer_table import LayerTable
from cutpoint.pooling import canonical_pool
from cutpoint.stages import Arguments, parameters_of, read_arguments, read_stage, spell
from cutpoint.store import Features
from cutpoint.transforms import TRANSFORMS, Transform, from_state
from cutpoint.types import Array

NAMED = {
    # The two last stages, generalised mean, whitened and normalised: the pipeline of the image
    # retrieval literature (Radenović et al. 2018).
    "classic": "stages(2) | gem | l2 | concat | pca(512, whiten) | l2",
}
AGGREGATES = ("concat", "mean", "max", "softmax")
_LEARNED = "softmax"  # the aggregate that is a transform: the first of `Recipe.after`
_STATELESS = ("l2", "power")  # fitting them learns nothing, so leave-one-out stays exact


@dataclass(frozen=True)
class Stage:
    """One stage, as typed: its name and arguments."""

    name: str
    arguments: Arguments = ()

    def __str__(self) -> str:
        return spell(self.name, self.arguments)

    def make(self, blocks: tuple[int, ...]) -> Transform:
        """Return the unfitted transform; `blocks` are the widths of the taps in its columns."""
        kind = TRANSFORMS[self.name]
        arguments = dict(self.arguments)
        if "blocks" in parameters_of(kind) and self.name != "l2":
            arguments["blocks"] = blocks
        return kind(**arguments)


@dataclass(frozen=True)
class Recipe:
    """Stages in order; `str` gives the one spelling.

    Attributes
    ----------
    n_stages : int or None
        Take the deepest map of each of the last so many resolutions, in place of automatic taps.
    pools : tuple of str
        None named: automatic.
    before : tuple of Stage
        Done to each tap alone.
    aggregate : {"", "concat", "mean", "max", "softmax"}
        How the taps become one; empty: each tap is a candidate of its own.
    after : tuple of Stage
        Done to the whole; `softmax`, which learns, is the first of them.
    """

    n_stages: int | None = None
    pools: tuple[str, ...] = ()
    before: tuple[Stage, ...] = ()
    aggregate: str = ""
    after: tuple[Stage, ...] = ()

    def __str__(self) -> str:
        first = [] if self.n_stages is None else [f"stages({self.n_stages})"]
        joined = [self.aggregate] if self.aggregate not in ("", _LEARNED) else []
        return " | ".join(
            [*first, *self.pools, *map(str, self.before), *joined, *map(str, self.after)]
        )

    @property
    def is_stateless(self) -> bool:
        """Whether no stage learns anything, so that leave-one-out scores of the head are exact."""
        return all(stage.name in _STATELESS for stage in (*self.before, *self.after))

    def taps(self, table: LayerTable) -> tuple[str, ...] | None:
        """Return the taps the recipe names itself; None if it leaves them to others."""
        if self.n_stages is None:
            return None
        by_stride = {row.stride: row.name for row in table.maps()}
        return tuple(list(by_stride.values())[-self.n_stages :])

    def candidates(self, taps: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the sets of taps to judge: all together, or each alone."""
        return [tuple(taps)] if self.aggregate else [(tap,) for tap in taps]


def parse_recipe(text: str) -> Recipe:
    """Return the recipe that `text` spells, or the named one; an empty text is no stage at all.

    Raises
    ------
    UsageError
        If a stage is unknown, out of place, or its arguments are wrong; all are listed.

    Examples
    --------
    >>> str(parse_recipe("gem(3)|concat|power(.5)"))
    'gem | concat | power(alpha=0.5)'
    """
    if not text.strip():
        return Recipe()
    spelled = NAMED.get(text.strip(), text)
    n_stages: int | None = None
    pools: list[str] = []
    before: list[Stage] = []
    after: list[Stage] = []
    aggregate = ""
    for part in _split(spelled):
        name, words = _or_wrong(text, read_stage, part)
        if name == "stages" and not (pools or before or aggregate):
            n_stages = _count(words, part, text)
        elif name in AGGREGATES and _is_aggregate(name, words, pools, before, aggregate):
            if aggregate:
                raise _wrong(text, f'"{part}" comes after "{aggregate}": taps are one already')
            aggregate = name
            if name == _LEARNED:
                after.append(_stage(name, words, text))
        elif name in TRANSFORMS:
            (after if aggregate else before).append(_stage(name, words, text))
        elif _is_pool(part) and not (before or aggregate):
            pools.append(canonical_pool(part))
        else:
            raise _wrong(text, f'"{part}" is no stage, or stands in the wrong place')
    if not aggregate:  # with one tap there is no difference; the whole is the tap
        before, after = [], before
    return Recipe(n_stages, tuple(sorted(set(pools))), tuple(before), aggregate, tuple(after))


@dataclass(frozen=True)
class FittedRecipe:
    """A recipe with what it learned from training rows.

    Attributes
    ----------
    recipe : Recipe
    taps : tuple of str
        ``"layer/pool"``, in order.
    before : tuple of tuple of Transform
        For each tap.
    after : tuple of Transform
    learned_from : frozenset of str
        Digests of the rows it was fitted on; empty if it learned nothing.
    """

    recipe: Recipe
    taps: tuple[str, ...]
    before: tuple[tuple[Transform, ...], ...]
    after: tuple[Transform, ...]
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
        whole = _aggregated(self.recipe.aggregate, parts, self.taps)
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
            leaked = [row for row in rows if features.digests[row] in self.learned_from]
            if leaked:
                raise _leak(features, leaked, "were to be scored by a recipe fitted on them")
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
        if self.recipe.aggregate != _LEARNED:
            return {}
        return dict(zip(self.taps, self.after[0].weights_.tolist(), strict=True))

    def weights_text(self) -> str:
        """Return `tap_weights` in one line."""
        return ", ".join(f"{tap} {weight:.2f}" for tap, weight in self.tap_weights.items())

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return JSON types and arrays; `from_state` makes the same recipe of them."""
        arrays: dict[str, Array] = {}

        def kept(transform: Transform, place: str) -> dict[str, Any]:
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

        def read(stage: Mapping[str, Any]) -> Transform:
            place = f"{stage['place']}."
            own = {n[len(place) :]: a for n, a in arrays.items() if n.startswith(place)}
            return from_state(stage, own)

        before = tuple(tuple(read(each) for each in tap) for tap in fields["before"])
        after = tuple(read(each) for each in fields["after"])
        return cls(parse_recipe(fields["text"]), tuple(fields["taps"]), before, after)


def fit_recipe(
    recipe: Recipe, features: Features, taps: Sequence[str], rows: Array
) -> tuple[FittedRecipe, Array]:
    """Fit every stage on training rows; return the fitted recipe and their matrix.

    Raises
    ------
    LeakageError
        If one of the rows is of the test split.
    """
    tests = [row for row in rows if features.splits[row] == "test"]
    if tests:
        raise _leak(features, tests, "are of the test split and were to be learned from")
    y = features.labels[rows].astype(str)
    parts, before = [], []
    for tap in taps:
        X = features.X(tap, rows)
        transforms = []
        for stage in recipe.before:
            transforms.append(stage.make((X.shape[1],)))
            X = transforms[-1].fit(X, y).transform(X)
        before.append(tuple(transforms))
        parts.append(X)
    whole = _aggregated(recipe.aggregate, parts, tuple(taps))
    blocks = tuple(part.shape[1] for part in parts)
    after = []
    for stage in recipe.after:
        known = blocks if sum(blocks) == whole.shape[1] else (whole.shape[1],)
        after.append(stage.make(known))
        whole = after[-1].fit(whole, y).transform(whole)
    learned = frozenset() if recipe.is_stateless else frozenset(map(str, features.digests[rows]))
    fitted = FittedRecipe(recipe, tuple(taps), tuple(before), tuple(after), learned)
    return fitted, whole


def _aggregated(how: str, parts: Sequence[Array], taps: Sequence[str]) -> Array:
    if how in ("", "concat", _LEARNED):
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise UsageError(
            f"The {how} of {len(parts)} taps was asked for.",
            f"They have widths {', '.join(map(str, sorted(widths)))}: "
            + ", ".join(f"{tap} {part.shape[1]}" for tap, part in zip(taps, parts, strict=True))[
                :200
            ]
            + ".",
            "Taps of one width, or a projection of each to one width before: gaussian, sparse, "
            "orthogonal or projection.",
            f'Type, for example:  --recipe "gap | orthogonal({min(widths)}) | {how}"',
        )
    stacked = np.stack(parts)
    whole: Array = stacked.mean(axis=0) if how == "mean" else stacked.max(axis=0)
    return whole


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split("|")]
    if "" in parts:
        raise _wrong(text, "a stage is empty")
    return parts


def _is_aggregate(name: str, words: list[str], *earlier: Any) -> bool:
    """Tell an aggregate from the pools `mean` and `max`: those take words, or come first."""
    return name == _LEARNED or (not words and any(earlier))


def _stage(name: str, words: list[str], text: str) -> Stage:
    kind = TRANSFORMS[name]
    return Stage(name, _or_wrong(text, read_arguments, name, kind, words, ["blocks"]))


def _count(words: list[str], part: str, text: str) -> int:
    if len(words) != 1 or not words[0].isdigit() or int(words[0]) < 1:
        raise _wrong(text, f'"{part}" takes one whole number, 1 or more')
    return int(words[0])


def _is_pool(part: str) -> bool:
    try:
        canonical_pool(part)
    except UsageError:
        return False
    return True


def _or_wrong(text: str, read: Callable[..., Any], *given: Any) -> Any:
    """Return what `read` reads; its ValueError becomes the recipe's error."""
    try:
        return read(*given)
    except ValueError as error:
        raise _wrong(text, str(error)) from error


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(
        f'The recipe "{text}" was asked for.',
        f"It can't be followed: {why}.",
        f"Pools first; then {', '.join(TRANSFORMS)}; {', '.join(AGGREGATES)} in between. "
        f"Named: {', '.join(NAMED)}.",
        'Type, for example:  --recipe "gem | l2 | concat | pca(64, whiten) | l2"',
    )


def _leak(features: Features, rows: Sequence[int], what: str) -> LeakageError:
    keys = [str(features.keys[row]) for row in rows]
    shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return LeakageError(
        f'Features of "{features.name}" were asked for.',
        f"{len(keys)} rows {what}: {shown}.",
        "Rows of the training split to learn from, others to score.",
        'Choose rows with:  features.rows_of("train")',
    )
