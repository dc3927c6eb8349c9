"""Pool names as a person types them: ``gap``, ``gmp``, ``gem``, ``gem(4)``, ``none``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from cutpoint.errors import UsageError
from cutpoint.pooling.gap import pool_gap
from cutpoint.pooling.gem import pool_gem
from cutpoint.pooling.gmp import pool_gmp
from cutpoint.pooling.none import pool_none

Pool = Callable[[Any], Any]

POOLS: dict[str, Pool] = {
    "gap": pool_gap,
    "gmp": pool_gmp,
    "gem": pool_gem,
    "none": pool_none,
}
_GEM = re.compile(r"gem\((\d+(?:\.\d+)?)\)")


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
            "Pools: gap, gmp, gem, gem(p) with p > 0, none.",
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
