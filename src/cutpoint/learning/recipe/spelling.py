"""What happens between taps and a head, in one line a person can type and read.

``"gem | l2 | concat | power(0.5) | pca(512, whiten) | l2"``: stages separated by ``|``, in order:
which taps (`stages`), how they are pooled, what is done to each tap alone, how taps become one
(`concat`, `mean`, `max`, `softmax`), and what is done to the whole. Each stage is one transform,
fitted on training rows alone. The first of a tap may be a pool that learns, where maps are stored:
``"grid(4) | learned_gem | l2 | concat | pca(64)"``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cutpoint.base.errors import CutpointError, UsageError
from cutpoint.base.stages import Arguments, parameters_of, read_arguments, read_stage, spell
from cutpoint.base.text import a_kind
from cutpoint.base.tongue import option
from cutpoint.learning.heads import HEADS, LearnedPoolHead
from cutpoint.learning.shared.limits import check_parameters
from cutpoint.learning.transforms import TRANSFORMS, Transform
from cutpoint.learning.transforms.base import LabelledTransform
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import canonical_pool, keeps_space

NAMED = {
    # The two last stages, generalised mean, whitened and normalised: the pipeline of the image
    # retrieval literature (Radenović et al. 2018).
    "classic": "stages(2) | gem | l2 | concat | pca(512, whiten) | l2",
}
Fitter = Transform | LearnedPoolHead
"""What a stage is once it is made."""

LEARNED_POOLS: dict[str, type[LearnedPoolHead]] = {
    kind: head for kind, head in HEADS.items() if issubclass(head, LearnedPoolHead)
}
STAGES: dict[str, type[Fitter]] = {**TRANSFORMS, **LEARNED_POOLS}
"""Name in recipes and saved files → class."""

AGGREGATES = ("concat", "mean", "max", "softmax")
LEARNED = "softmax"  # the aggregate that is a transform: the first of `Recipe.after`
NOT_TYPED = ("blocks", "layout")  # the taps say
# Fitting them learns nothing but the number of columns, so leave-one-out stays exact.
STATELESS = ("l2", "tap_l2", "power", "gaussian", "sparse", "orthogonal")
# One number per tap, from all training rows: with ridge it is each tap's own share of λ, a setting
# as λ is, and chosen from the same rows.
SETTINGS = ("fuse",)


@dataclass(frozen=True)
class Stage:
    """One stage, as typed: its name and arguments."""

    name: str
    arguments: Arguments = ()

    def __str__(self) -> str:
        return spell(self.name, self.arguments)

    @property
    def is_pool(self) -> bool:
        """Whether it pools stored maps."""
        return self.name in LEARNED_POOLS

    @property
    def needs_classes(self) -> bool:
        """Whether it learns from class labels."""
        return issubclass(STAGES[self.name], LabelledTransform | LearnedPoolHead)

    def make(self, blocks: tuple[int, ...] = (), layout: str = "") -> Fitter:
        """Return the unfitted transform.

        Parameters
        ----------
        blocks : tuple of int
            Widths of the taps in its columns.
        layout : str
            Axes of the stored map that a pool is to learn from, ``"NCHW"``.
        """
        kind = STAGES[self.name]
        arguments = dict(self.arguments)
        if "blocks" in parameters_of(kind) and self.name != "l2":
            arguments["blocks"] = blocks
        if self.is_pool:
            arguments["layout"] = layout or None
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
        joined = [self.aggregate] if self.aggregate not in ("", LEARNED) else []
        return " | ".join(
            [*first, *self.pools, *map(str, self.before), *joined, *map(str, self.after)]
        )

    @property
    def of_tap(self) -> tuple[Stage, ...]:
        """What is done to each tap alone: all stages, where taps stay apart."""
        return self.before if self.aggregate else self.after

    @property
    def pools_maps(self) -> bool:
        """Whether it begins with a pool that learns, and so takes stored maps."""
        return any(stage.is_pool for stage in self.of_tap)

    @property
    def is_stateless(self) -> bool:
        """Whether no stage learns anything from rows."""
        return all(stage.name in STATELESS for stage in (*self.before, *self.after))

    @property
    def is_exact(self) -> bool:
        """Whether leave-one-out scores of the head alone are those of the whole."""
        names = {stage.name for stage in (*self.before, *self.after)}
        return names <= {*STATELESS, *SETTINGS}

    def fused(self, weights: tuple[float, ...] | None = None) -> Recipe:
        """Return the recipe that fuses several taps, each done to as here; see `Fuse`."""
        arguments = () if weights is None else (("weights", weights),)
        stages = (Stage("fuse", arguments),)
        return replace(self, before=self.after, aggregate="concat", after=stages)

    def taps(self, table: LayerTable) -> tuple[str, ...] | None:
        """Return the taps the recipe names itself; None if it leaves them to others.

        Raises
        ------
        UsageError
            If the network has maps of fewer resolutions than `stages` asks for.
        """
        if self.n_stages is None:
            return None
        by_stride = {row.stride: row.name for row in table.maps()}
        if len(by_stride) < self.n_stages:
            possible = replace(self, n_stages=len(by_stride) or None)
            raise UsageError(
                f"stages({self.n_stages}) is more than the network has: maps of "
                f"{len(by_stride)} resolutions.",
                f"Their deepest layers: {', '.join(by_stride.values()) or 'none'}.",
                f"A number from 1 to {len(by_stride)}." if by_stride else "A recipe without it.",
                f"Type, for example:  {option('recipe', str(possible))}",
            )
        return tuple(list(by_stride.values())[-self.n_stages :])

    def candidates(self, taps: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the sets of taps to judge: all together, or each alone."""
        return [tuple(taps)] if self.aggregate else [(tap,) for tap in taps]


def as_recipe(given: str | Recipe) -> Recipe:
    """Return the recipe that is given, as text or as one."""
    if isinstance(given, Recipe):
        return given
    if not isinstance(given, str):
        raise UsageError(
            f"The recipe is {a_kind(given)}.",
            "A recipe is stages in one line of text.",
            "Text, or a Recipe.",
            f"Type, for example:  {option('recipe', 'gem | l2 | concat | pca(64)')}",
        )
    return parse_recipe(given)


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
            if name == LEARNED:
                after.append(_stage(name, words, text))
        elif name in STAGES:
            if name in LEARNED_POOLS:
                _check_pool(name, pools, bool(before or aggregate), text)
            (after if aggregate else before).append(_stage(name, words, text))
        elif _is_pool(part) and not (before or aggregate):
            pools.append(canonical_pool(part))
        else:
            raise _wrong(text, f'"{part}" is no stage, or stands in the wrong place')
    if not aggregate:  # with one tap there is no difference; the whole is the tap
        before, after = [], before
    return Recipe(n_stages, tuple(sorted(set(pools))), tuple(before), aggregate, tuple(after))


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split("|")]
    if "" in parts:
        raise _wrong(text, "a stage is empty")
    return parts


def _is_aggregate(name: str, words: list[str], *earlier: Any) -> bool:
    """Tell an aggregate from the pools `mean` and `max`: those take words, or come first."""
    return name == LEARNED or (not words and (name == "concat" or any(earlier)))


def _stage(name: str, words: list[str], text: str) -> Stage:
    kind = STAGES[name]
    arguments = _or_wrong(text, read_arguments, name, kind, words, NOT_TYPED)
    made = kind(**dict(arguments))
    if isinstance(made, Transform):
        check_parameters(made)
    else:
        _or_wrong(text, made.check_parameters)
    return Stage(name, arguments)


def _check_pool(name: str, pools: Sequence[str], is_late: bool, text: str) -> None:
    """Raise unless a pool that learns comes first, on stored maps."""
    if is_late:
        raise _wrong(text, f'"{name}" pools stored maps, so it is the first thing done to a tap')
    vectors = [pool for pool in pools if not keeps_space(pool)]
    if vectors:
        what = f'"{name}" pools stored maps, and "{vectors[0]}" leaves none'
        raise _wrong(text, f"{what}: grid(n) and none do")


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
    except CutpointError as error:
        raise _wrong(text, error.got.rstrip(".")) from error
    except ValueError as error:
        raise _wrong(text, str(error)) from error


def _wrong(text: str, why: str) -> UsageError:
    stages = (
        f"Pools first; then {', '.join(STAGES)}; {', '.join(AGGREGATES)} in between. "
        f"Named: {', '.join(NAMED)}."
    )
    return UsageError(
        f'The recipe "{text}" can\'t be followed: {why}.',
        "A recipe is stages from left to right, with | between them.",
        stages,
        f"Type, for example:  {option('recipe', 'gem | l2 | concat | pca(64, whiten) | l2')}",
    )
