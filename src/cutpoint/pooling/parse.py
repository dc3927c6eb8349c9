"""Pool names as a person types them: ``gap``, ``gmp``, ``gem``, ``gem(4)``, ``gram``, ``none``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from cutpoint.errors import ShapeError, UsageError
from cutpoint.layer_table import Layer
from cutpoint.pooling.cls import pool_cls
from cutpoint.pooling.gap import pool_gap
from cutpoint.pooling.gem import pool_gem
from cutpoint.pooling.gmp import pool_gmp
from cutpoint.pooling.gram import pool_gram
from cutpoint.pooling.none import pool_none
from cutpoint.pooling.ops import Ops

Pool = Callable[..., Any]
"""``pool(activation, layout, ops)`` → pooled."""

AUTO = "auto"
POOLS: dict[str, Pool] = {
    "gap": pool_gap,
    "gmp": pool_gmp,
    "gem": pool_gem,
    "cls": pool_cls,
    "gram": pool_gram,
    "none": pool_none,
}
_GEM = re.compile(r"gem\((\d+(?:\.\d+)?)\)")
_NEEDS = {"cls": "NTC", "none": ""}  # which letters the layout must have; all others: space and C


def parse_pool(text: str) -> Pool:
    """Return the function meant by `text`.

    Raises
    ------
    UsageError
        If no pool has that name, or the exponent of ``gem(p)`` is not positive.
    """
    if text in POOLS:
        return POOLS[text]
    found = _GEM.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise UsageError(
            f'Pool "{text}" was asked for.',
            "No pool has that name.",
            "Pools: gap, gmp, gem, gem(p) with p > 0, cls, gram, none; or auto.",
            "Type, for example:  --pool gap --pool gem(3)",
        )
    return partial(pool_gem, p=float(found[1]))


def canonical_pool(text: str) -> str:
    """Return the one spelling of a pool that enters a spec: ``gem(3)`` is ``gem``."""
    parse_pool(text)
    found = _GEM.fullmatch(text)
    if found is None:
        return text
    return "gem" if float(found[1]) == 3.0 else f"gem({float(found[1]):g})"


def pools_of(layer: Layer, text: str) -> tuple[str, ...]:
    """Return the canonical pools `text` means at `layer`.

    "auto" is gap and gmp for maps, cls and gap for tokens, and the output itself for the rest.

    Raises
    ------
    ShapeError
        If the layer has no space, or no tokens, for the pool to run over.
    """
    if text == AUTO:
        if "H" in layer.layout:
            return ("gap", "gmp")
        return ("cls", "gap") if "T" in layer.layout else ("none",)
    pool = canonical_pool(text)
    letters = _NEEDS.get(pool, "C")
    has_space = any(letter in layer.layout for letter in "HWDT") or pool == "none"
    if not has_space or any(letter not in layer.layout for letter in letters):
        raise ShapeError(
            f'Pool "{pool}" was asked for at layer "{layer.name}".',
            f"That layer gives {layer.shape_text} ({layer.layout or 'axes unknown'}), "
            "which it can't run over.",
            "Spatial pools need maps or tokens; cls needs tokens.",
            'Take the layer as it is with "none", or let cutpoint choose with:  --pool auto',
        )
    return (pool,)


def apply_pool(text: str, activation: Any, layout: str, ops: Ops) -> Any:
    """Return `activation` pooled; `text` is canonical and fits the layout."""
    return parse_pool(text)(activation, layout, ops)
