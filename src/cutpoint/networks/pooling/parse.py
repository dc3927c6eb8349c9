"""Pool names as a person types them: ``gap``, ``gem``, ``gem(4)``, ``spp(1,2,4,max)``, ``none``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling.arguments import Reader, count, exponent, levels, nothing, target
from cutpoint.networks.pooling.cls import pool_cls
from cutpoint.networks.pooling.flatten import pool_flatten
from cutpoint.networks.pooling.gap import pool_gap
from cutpoint.networks.pooling.gem import pool_gem
from cutpoint.networks.pooling.gmp import pool_gmp
from cutpoint.networks.pooling.gram import pool_gram
from cutpoint.networks.pooling.grid import pool_grid
from cutpoint.networks.pooling.h2t import pool_h2t
from cutpoint.networks.pooling.mean import pool_cls_mean, pool_mean
from cutpoint.networks.pooling.none import pool_none
from cutpoint.networks.pooling.ops import Ops, space_axes
from cutpoint.networks.pooling.rmac import N_SCALES, pool_rmac
from cutpoint.networks.pooling.sgem import pool_sgem
from cutpoint.networks.pooling.spp import LEVELS, pool_spp

Pool = Callable[..., Any]
"""``pool(activation, layout, ops)`` → pooled."""


@dataclass(frozen=True)
class PoolKind:
    """One pool, whatever its arguments.

    Attributes
    ----------
    run : Pool
    needs : {"places", "maps", "flat maps", "tokens", "any"}
        What it runs over: maps or tokens, maps, maps of height and width alone, tokens, anything.
    usage : str
        How it is typed.
    read : Reader
        Of its arguments.
    """

    run: Pool
    needs: str
    usage: str
    read: Reader = nothing


AUTO = "auto"
MASKED = ("gap", "mean", "cls+mean")  # pools that leave padding out
POOLS: dict[str, PoolKind] = {
    "gap": PoolKind(pool_gap, "places", "gap"),
    "gmp": PoolKind(pool_gmp, "places", "gmp"),
    "gem": PoolKind(pool_gem, "places", "gem or gem(p)", exponent("p", 3.0)),
    "sgem": PoolKind(pool_sgem, "places", "sgem or sgem(p)", exponent("p", 3.0)),
    "spp": PoolKind(pool_spp, "maps", "spp or spp(1,2,4,max,adaptive)", levels),
    "rmac": PoolKind(pool_rmac, "flat maps", "rmac or rmac(L)", count("n_scales", N_SCALES)),
    "cls": PoolKind(pool_cls, "tokens", "cls"),
    "mean": PoolKind(pool_mean, "tokens", "mean"),
    "cls+mean": PoolKind(pool_cls_mean, "tokens", "cls+mean"),
    "h2t": PoolKind(pool_h2t, "places", "h2t(T) or h2t(T,compat)", target),
    "gram": PoolKind(pool_gram, "places", "gram"),
    "flatten": PoolKind(pool_flatten, "places", "flatten"),
    "grid": PoolKind(pool_grid, "maps", "grid(n)", count("n")),
    "none": PoolKind(pool_none, "any", "none"),
}
_TYPED = re.compile(r"([a-z0-9+]+)(?:\(([^()]*)\))?")
_ASKS_FOR = {
    "places": "maps or tokens",
    "maps": "maps",
    "flat maps": "maps of height and width",
    "tokens": "tokens",
    "any": "anything",
}


def read_pool(text: str) -> tuple[str, dict[str, Any], str]:
    """Return a pool's name, the arguments that differ from its defaults, and its one spelling.

    Raises
    ------
    UsageError
        If no pool has that name or takes such arguments; all pools are listed.

    Examples
    --------
    >>> read_pool("spp(4, 2, 1, max)")
    ('spp', {'how': 'max'}, 'spp(max)')
    """
    found = _TYPED.fullmatch(text)
    if found is None or found[1] not in POOLS:
        raise _unknown(text, "No pool has that name.")
    name, brackets = found[1], found[2]
    words = [] if brackets is None else [word.strip() for word in brackets.split(",")]
    try:
        arguments, spelled = POOLS[name].read(words)
    except ValueError as error:
        raise _unknown(text, f"It is typed {POOLS[name].usage}, with numbers above 0.") from error
    return name, arguments, f"{name}({','.join(spelled)})" if spelled else name


def parse_pool(text: str) -> Pool:
    """Return the function meant by `text`.

    Raises
    ------
    UsageError
        As `read_pool`.
    """
    name, arguments, _ = read_pool(text)
    run = POOLS[name].run
    return partial(run, **arguments) if arguments else run


def canonical_pool(text: str) -> str:
    """Return the one spelling of a pool that enters a spec: ``gem(3)`` is ``gem``.

    Examples
    --------
    >>> [canonical_pool(text) for text in ("gem(3)", "gem(4.50)", "spp(1,2,4)", "spp(2,1)")]
    ['gem', 'gem(4.5)', 'spp', 'spp(1,2)']
    """
    return read_pool(text)[2]


def pools_of(layer: Layer, text: str) -> tuple[str, ...]:
    """Return the canonical pools `text` means at `layer`.

    "auto" is gap and gmp for maps, cls and gap for tokens, and the output itself for the rest.

    Raises
    ------
    ShapeError
        If the layer has no space, or no tokens, for the pool to run over, or its map is smaller
        than the pool's grid.
    """
    if text == AUTO:
        if "H" in layer.layout:
            return ("gap", "gmp")
        return ("cls", "gap") if "T" in layer.layout else ("none",)
    name, arguments, pool = read_pool(text)
    if not _runs_over(POOLS[name].needs, layer.layout):
        raise ShapeError(
            f'Pool "{pool}" was asked for at layer "{layer.name}".',
            f"That layer gives {layer.shape_text} ({layer.layout or 'axes unknown'}), "
            f"which it can't run over: {name} needs {_ASKS_FOR[POOLS[name].needs]}.",
            f"Pools that can: {', '.join(_pools_for(layer.layout))}.",
            'Take the layer as it is with "none", or let cutpoint choose with:  --pool auto',
        )
    _check_grid(layer, name, arguments, pool)
    return (pool,)


def apply_pool(text: str, activation: Any, layout: str, ops: Ops, mask: Any = None) -> Any:
    """Return `activation` pooled; `text` is canonical and fits the layout.

    A mask of valid tokens reaches the pools that are means of tokens; others have no use for it.
    """
    if mask is not None and text in MASKED and "T" in layout:
        return parse_pool(text)(activation, layout, ops, mask)
    return parse_pool(text)(activation, layout, ops)


def _runs_over(needs: str, layout: str) -> bool:
    space = {letter for letter in layout if letter in "HWDT"}
    if needs == "any":
        return True
    return (
        "C" in layout
        and {
            "places": bool(space),
            "maps": bool(space) and "T" not in space,
            "flat maps": space == {"H", "W"},
            "tokens": space == {"T"},
        }[needs]
    )


def _pools_for(layout: str) -> list[str]:
    return [name for name, kind in POOLS.items() if _runs_over(kind.needs, layout)]


def _check_grid(layer: Layer, name: str, arguments: dict[str, Any], pool: str) -> None:
    """Raise `ShapeError` if the finest grid has more bins than the layer's map has places."""
    if name not in ("spp", "grid") or "adaptive" in arguments:
        return
    finest = arguments["n"] if name == "grid" else max(arguments.get("levels", LEVELS))
    side = min(layer.shape[axis] or finest for axis in space_axes(layer.layout))
    if side < finest:
        fits = f"grid({side})" if name == "grid" else _pyramid_up_to(side, arguments)
        raise ShapeError(
            f'Pool "{pool}" was asked for at layer "{layer.name}".',
            f"That layer gives {layer.shape_text} ({layer.layout}): "
            f"{finest} bins a side, {side} places.",
            f"At most {side} bins a side at this layer, or a layer with larger maps.",
            f'Type, for example:  --pool "{fits}"',
        )


def _pyramid_up_to(side: int, arguments: dict[str, Any]) -> str:
    levels = [level for level in arguments.get("levels", LEVELS) if level <= side] or [side]
    words = [*map(str, levels), *([arguments["how"]] if "how" in arguments else [])]
    return f"spp({','.join(words)})"


def _unknown(text: str, got: str) -> UsageError:
    return UsageError(
        f'Pool "{text}" was asked for.',
        got,
        f"Pools: {', '.join(kind.usage for kind in POOLS.values())}; or auto.",
        'Type, for example:  --pool gap --pool "gem(4)"',
    )
