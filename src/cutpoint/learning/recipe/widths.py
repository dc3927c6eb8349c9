"""How wide taps become, known before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.learning.heads import LearnedPoolHead
from cutpoint.learning.recipe.spelling import LEARNED, Recipe, Stage

OF_ONE_WIDTH = ("mean", "max", LEARNED)
"""Aggregates that need taps of one width."""


def check_widths(recipe: Recipe, widths: Mapping[str, int], n_rows: int | None = None) -> None:
    """Raise unless a recipe can be fitted on taps of such widths, as far as can be told.

    Parameters
    ----------
    recipe : Recipe
    widths : mapping of str to int
        Tap → its columns, or the channels of its stored maps.
    n_rows : int, optional
        Rows it will be fitted on, where known.

    Raises
    ------
    UsageError
        If taps that are to become one would have different widths, or a pool can't share out the
        channels of a map.
    """
    made = {tap: _width_after(recipe.of_tap, width, n_rows) for tap, width in widths.items()}
    known = {tap: width for tap, width in made.items() if width is not None}
    if recipe.aggregate in OF_ONE_WIDTH and len(set(known.values())) > 1:
        raise differing_widths(recipe.aggregate, known)


def differing_widths(how: str, widths: Mapping[str, int]) -> UsageError:
    """Return the error for taps of different widths that are to become one."""
    found = sorted(set(widths.values()))
    each = ", ".join(f"{tap} {width}" for tap, width in widths.items())
    return UsageError(
        f"The {how} of {len(widths)} taps needs one width; they have {', '.join(map(str, found))}.",
        f"{each[:200]}.",
        "Taps of one width, or each brought to one before, down or up: gaussian, sparse, "
        "orthogonal or projection.",
        f"Type, for example:  {option('recipe', f'gap | orthogonal({found[0]}) | {how}')}",
    )


def _width_after(stages: Sequence[Stage], width: int, n_rows: int | None) -> int | None:
    """Return the width that stages make of a tap's own; None where the values decide."""
    made: int | None = width
    for stage in stages:
        if made is None:
            return None
        transform = stage.make()
        if isinstance(transform, LearnedPoolHead):
            transform.check_channels(made)
        made = transform.width_of(made, n_rows)
    return made
