"""Pool names as a person types them: ``gap``, ``gem``, ``gem(4)``, ``spp(1,2,4,max)``, ``none``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.ops import Ops, space_axes
from cutpoint.base.tongue import option
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
from cutpoint.networks.pooling.last import pool_last
from cutpoint.networks.pooling.mean import pool_cls_mean, pool_mean
from cutpoint.networks.pooling.none import pool_none
from cutpoint.networks.pooling.rmac import N_SCALES, pool_rmac
from cutpoint.networks.pooling.sgem import pool_sgem
from cutpoint.networks.pooling.spp import LEVELS, pool_spp
from cutpoint.networks.pooling.st import pool_st
from cutpoint.networks.pooling.weightedmean import pool_weightedmean

Pool = Callable[..., Any]
"""``pool(activation, layout, ops)`` → pooled; with ``mask=`` where its kind knows masks."""


@dataclass(frozen=True)
class PoolKind:
    """One pool, whatever its arguments.

    Attributes
    ----------
    run : Pool
    needs : {"places", "maps", "flat maps", "tokens", "any"}
        What it runs over: maps or tokens, maps of any number of axes (time is one), maps of height
        and width alone, tokens or time, anything.
    usage : str
        How it is typed.
    read : Reader
        What each argument may be.
    gives : {"vector", "matrix", "places"}
        What is left of an item: "places" are the map or the tokens, or a smaller map.
    masked_since : int
        The first `TapSpec.revision` by which it leaves padding out; 0: it has no use for a mask.
    has_one_width : bool
        Whether its width is the same whatever the size of an axis of space.
    loses_sign : bool
        Whether it raises what is below zero to about zero.
    """

    run: Pool
    needs: str
    usage: str
    read: Reader = nothing
    gives: str = "vector"
    masked_since: int = 0
    has_one_width: bool = True
    loses_sign: bool = False

    @property
    def keeps_space(self) -> bool:
        return self.gives == "places"


AUTO = "auto"
POOLS: dict[str, PoolKind] = {
    "gap": PoolKind(pool_gap, "places", "gap", masked_since=1),
    "gmp": PoolKind(pool_gmp, "places", "gmp", masked_since=2),
    "gem": PoolKind(
        pool_gem, "places", "gem or gem(p)", exponent("p", 3.0), masked_since=2, loses_sign=True
    ),
    "sgem": PoolKind(pool_sgem, "places", "sgem or sgem(p)", exponent("p", 3.0), masked_since=2),
    "spp": PoolKind(pool_spp, "maps", "spp or spp(1,2,4,max,adaptive)", levels, masked_since=2),
    "rmac": PoolKind(pool_rmac, "flat maps", "rmac or rmac(L)", count("n_scales", N_SCALES)),
    "cls": PoolKind(pool_cls, "tokens", "cls"),
    "mean": PoolKind(pool_mean, "tokens", "mean", masked_since=1),
    "cls+mean": PoolKind(pool_cls_mean, "tokens", "cls+mean", masked_since=1),
    "last": PoolKind(pool_last, "tokens", "last", masked_since=1),
    "st": PoolKind(pool_st, "tokens", "st", masked_since=1),
    "weightedmean": PoolKind(pool_weightedmean, "tokens", "weightedmean", masked_since=1),
    "h2t": PoolKind(
        pool_h2t, "places", "h2t(T) or h2t(T,compat)", target, masked_since=2, has_one_width=False
    ),
    "gram": PoolKind(pool_gram, "places", "gram", gives="matrix", masked_since=2),
    "flatten": PoolKind(pool_flatten, "places", "flatten", has_one_width=False),
    "grid": PoolKind(pool_grid, "maps", "grid(n)", count("n"), gives="places", masked_since=2),
    "none": PoolKind(pool_none, "any", "none", gives="places"),
}
ALIASES = {"max": "gmp", "lasttoken": "last"}
"""As sentence-transformers has them → ours, by which they are stored."""
REVISION = max(kind.masked_since for kind in POOLS.values())
"""What pools compute now; see `TapSpec.revision`."""
_TYPED = re.compile(r"([a-z0-9+]+)(?:\(([^()]*)\))?")
_ASKS_FOR = {
    "places": "maps or tokens",
    "maps": "maps, or time in the last axis (NCT)",
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
    name = ALIASES.get(found[1], found[1]) if found else ""
    if found is None or name not in POOLS:
        raise _unknown(f'There is no pool "{text}".', "No pool has that name.")
    brackets = found[2]
    words = [] if brackets is None else [word.strip() for word in brackets.split(",")]
    try:
        arguments, spelled = POOLS[name].read(words)
    except ValueError as error:
        usage = f"It is typed {POOLS[name].usage}, with numbers above 0."
        raise _unknown(f'Pool "{text}" is misspelt.', usage) from error
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


def kind_of(pool: str) -> PoolKind | None:
    """Return the kind of a pool, ``"gem(4)"``; None of one that another release has.

    Examples
    --------
    >>> kind_of("grid(4)").keeps_space, kind_of("gem(4)").loses_sign
    (True, True)
    """
    return POOLS.get(pool.partition("(")[0])


def keeps_space(pool: str) -> bool:
    """Say whether a pool leaves the map or the tokens, or a smaller map."""
    kind = kind_of(pool)
    return kind is not None and kind.keeps_space


def loses_sign(pool: str) -> bool:
    """Say whether a pool raises what is below zero to about zero."""
    kind = kind_of(pool)
    return kind is not None and kind.loses_sign


def revision_of(pools: Iterable[str], is_masked: bool) -> int:
    """Return the revision that taps with such pools have, of items with padding or without.

    1 unless one of them gives other numbers now than when it did not leave padding out.
    """
    kinds = map(kind_of, pools) if is_masked else ()
    return max((kind.masked_since or 1 for kind in kinds if kind is not None), default=1)


def pools_of(layer: Layer, text: str, usual: Sequence[str] = (AUTO,)) -> tuple[str, ...]:
    """Return the canonical pools `text` means at `layer`.

    "auto" is gap and gmp for maps and for time (NCT), whose first frame is no summary; cls and gap
    for tokens (NTC); the output itself for the rest.

    Parameters
    ----------
    usual : sequence of str
        What "auto" stands for at layers where some of these can run.

    Raises
    ------
    ShapeError
        If the layer has no space, or no tokens, for the pool to run over, or its map is smaller
        than the pool's grid, or of a size that is not known and sets how many features there are.
    """
    if text == AUTO:
        named = {_read_at(layer, each) for each in usual if each != AUTO} - {""}
        if named:
            return tuple(sorted(named))
        if not space_axes(layer.layout):
            return ("none",)
        return ("cls", "gap") if layer.layout == "NTC" else ("gap", "gmp")
    name, arguments, pool = read_pool(text)
    if not _runs_over(POOLS[name].needs, layer.layout):
        raise ShapeError(
            f'Pool "{pool}" can\'t run at layer "{layer.name}": {name} needs '
            f"{_ASKS_FOR[POOLS[name].needs]}.",
            f"That layer gives {layer.shape_text} ({layer.layout or 'axes unknown'}).",
            f"Pools that can: {', '.join(_pools_for(layer.layout))}.",
            'Take the layer as it is with "none", or let cutpoint choose with:  '
            f"{option('pool', 'auto')}",
        )
    if layer.free_axes and not POOLS[name].has_one_width:
        raise _no_one_width(layer, pool)
    _check_grid(layer, name, arguments, pool)
    return (pool,)


def _read_at(layer: Layer, text: str) -> str:
    """Return a pool's one spelling; empty where it can't run at `layer`."""
    name, _, pool = read_pool(text)
    return pool if _runs_over(POOLS[name].needs, layer.layout) else ""


def apply_pool(
    text: str,
    activation: Any,
    layout: str,
    ops: Ops,
    mask: Any = None,
    revision: int = REVISION,
) -> Any:
    """Return `activation` pooled; `text` is canonical and fits the layout.

    Parameters
    ----------
    mask : array or tensor of shape (n_items, n_places), optional
        1 where a token, or a place of time, is valid and 0 where it is padding, of the activation's
        own type. It reaches the pools that sum, average or take maxima; others have no use for it.
    revision : int
        As `TapSpec.revision`: by an earlier one, the pools of that time alone leave padding out.
    """
    pool, kind = parse_pool(text), kind_of(text)
    is_masked = mask is not None and kind is not None and 0 < kind.masked_since <= revision
    if is_masked and len(space_axes(layout)) == 1 and "T" in layout:
        return pool(activation, layout, ops, mask=mask)
    return pool(activation, layout, ops)


def _runs_over(needs: str, layout: str) -> bool:
    space = {letter for letter in layout if letter in "HWDT"}
    if needs == "any":
        return True
    return (
        "C" in layout
        and {
            "places": bool(space),
            "maps": bool(space) and ("T" not in space or layout == "NCT"),
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
            f'Pool "{pool}" has more bins than layer "{layer.name}" has places: {finest} bins a '
            f"side, {side} places.",
            f"That layer gives {layer.shape_text} ({layer.layout}).",
            f"At most {side} bins a side at this layer, or a layer with larger maps.",
            f"Type, for example:  {option('pool', fits)}",
        )


def _pyramid_up_to(side: int, arguments: dict[str, Any]) -> str:
    levels = [level for level in arguments.get("levels", LEVELS) if level <= side] or [side]
    words = [*map(str, levels), *([arguments["how"]] if "how" in arguments else [])]
    return f"spp({','.join(words)})"


def _no_one_width(layer: Layer, pool: str) -> ShapeError:
    fitting = [name for name in _pools_for(layer.layout) if POOLS[name].has_one_width]
    shown = next(name for name in ("cls+mean", "gap") if name in fitting)
    return ShapeError(
        f'Pool "{pool}" gives no one width at layer "{layer.name}": items differ in size there.',
        f"That layer gives {layer.shape_text} ({layer.layout}), where ? is the item's own.",
        f"Pools of one width: {', '.join(name for name in fitting if name != 'none')}; or none, "
        "which keeps each item as it is.",
        f"Type, for example:  {option('pool', shown)}",
    )


def _unknown(wrong: str, got: str) -> UsageError:
    return UsageError(
        wrong,
        got,
        f"Pools: {', '.join(kind.usage for kind in POOLS.values())}; or auto. "
        f"{', '.join(f'{alias} is {pool}' for alias, pool in ALIASES.items())}.",
        f"Type, for example:  {option('pool', 'gem(4)')}",
    )
