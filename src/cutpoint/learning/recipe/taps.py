"""Which taps a recipe takes, and whether it can take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.tongue import option
from cutpoint.features.extraction.request import DEFAULT_POOLS, Request
from cutpoint.learning.recipe.spelling import Recipe
from cutpoint.learning.recipe.widths import check_widths
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.layer_table import AUTO, Layer, LayerTable
from cutpoint.networks.pooling import map_layouts, pooled_width


def refuse_named_twice(
    recipe: Recipe, taps: Sequence[str | int] | str, pools: Sequence[str]
) -> None:
    """Raise `UsageError` if both the recipe and the options name taps, or pools."""
    twice = [
        name
        for name, is_twice in (
            ("taps", recipe.n_stages is not None and taps != AUTO),
            ("pool", recipe.pools and tuple(pools) != DEFAULT_POOLS),
        )
        if is_twice
    ]
    if twice:
        raise UsageError(
            f'{" and ".join(map(option, twice))}: named twice, by the recipe "{recipe}" and '
            "beside it.",
            "One of the two would not be followed.",
            "Only the recipe, or a recipe without them.",
            f"Leave out {' and '.join(map(option, twice))}",
        )


def recipe_taps(backbone: Backbone, recipe: Recipe, request: Request) -> Request:
    """Return the request with the taps and pools that the recipe names."""
    refuse_named_twice(recipe, request.taps, request.pools)
    taps = request.taps if request.taps != AUTO else recipe.taps(backbone.layers()) or AUTO
    return replace(request, taps=taps, pools=recipe.pools or request.pools)


def check_recipe(
    recipe: Recipe, spec: FeatureSpec, table: LayerTable, n_rows: int | None = None
) -> None:
    """Raise `UsageError` unless a recipe can take the taps; nothing is computed before.

    Parameters
    ----------
    n_rows : int, optional
        Training rows, where known.
    """
    layouts = map_layouts((table[tap.layer], tap.pool) for tap in spec.taps)
    vectors = [tap for tap in spec.taps if tap.name not in layouts]
    if recipe.pools_maps and vectors:
        typed = replace(recipe, pools=("grid(4)",))
        raise UsageError(
            f'The recipe "{recipe}" pools stored maps itself; {len(vectors)} of '
            f"{len(spec.taps)} taps are vectors.",
            f"{', '.join(tap.name for tap in vectors)[:200]}.",
            "The pool grid(n), a smaller map, or none, the whole activation.",
            f"Type, for example:  {option('recipe', str(typed))}   (or:  "
            f"{option('pool', 'grid(4)')})",
        )
    taken = spec.taps if recipe.pools_maps else vectors
    widths = {tap.name: _columns(table[tap.layer], tap, recipe.pools_maps) for tap in taken}
    check_widths(recipe, {tap: width for tap, width in widths.items() if width}, n_rows)


def _columns(layer: Layer, tap: TapSpec, of_map: bool) -> int | None:
    """Return a tap's columns, or its map's channels; None where the network doesn't say."""
    if of_map or tap.pool == "gram":
        return layer.channels if of_map else None
    try:
        return pooled_width(layer, tap.pool)
    except ShapeError:
        return None
