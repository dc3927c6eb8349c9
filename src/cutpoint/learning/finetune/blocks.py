"""Which layers make a block: told from the names of modules, or of layers side by side."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from cutpoint.networks.layer_table import Layer, LayerTable

STEM = "stem"


@dataclass(frozen=True)
class Blocks:
    """A network's layers in execution order, shared out among its blocks.

    Attributes
    ----------
    table : LayerTable
    end : int
        Index of the last layer that is used; what comes after belongs to no block.
    """

    table: LayerTable
    end: int

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The blocks up to the end, in order; what comes before the first is the stem."""
        return tuple(each.name for each in self._all if each.first <= self.end)

    def of(self, layer: str) -> str:
        """Return the block a layer is in: what stands between two belongs to the later one, and
        what comes after the last to the last."""
        index = self.table[layer].index
        known = self._all[: len(self.names)]
        if not known or index < known[0].first:
            return STEM
        return next((each.name for each in known if index <= each.last), known[-1].name)

    @cached_property
    def _all(self) -> list[_Block]:
        return _modules(self.table) or _named(self.table) or _costs(self.table)


@dataclass(frozen=True)
class _Block:
    """A name, and the indices of the first and the last layer of it."""

    name: str
    first: int
    last: int


def _modules(table: LayerTable) -> list[_Block]:
    """Return the outermost modules that compute and have a like, named with another number."""
    found = [block for row in table if row.is_block and (block := _computing(row, table))]
    times = Counter(re.sub(r"[0-9]+", "#", each.name) for each in found)
    alike = [each for each in found if times[re.sub(r"[0-9]+", "#", each.name)] > 1]
    names = [each.name for each in alike]
    return [each for each in alike if not any(each.name.startswith(f"{other}.") for other in names)]


def _computing(row: Layer, table: LayerTable) -> _Block | None:
    inside = [each.index for each in table if each.name.startswith(f"{row.name}.")]
    if not inside:
        return None
    first = min(inside)
    before = table[first - 1].macs if first else 0
    return _Block(row.name, first, row.index) if row.macs > before else None


def _named(table: LayerTable) -> list[_Block]:
    """Return runs of layers side by side whose names share a number: ``conv_pw_13_relu``."""
    found: dict[str, _Block] = {}
    for row in table:
        key = _key(row.name)
        if key:
            first = found[key].first if key in found else row.index
            found[key] = _Block(key, first, row.index)
    computing = {row.macs for row in table if row.macs}
    # Names such as `conv2d_7` number each layer alone: nothing is put together by them.
    return list(found.values()) if 1 < len(found) < len(computing) else []


def _key(name: str) -> str:
    """Return what layers of one block share of their names; empty if there is no number.

    Examples
    --------
    >>> [_key(name) for name in ("conv_pw_13_bn", "conv5_block3_out", "block_16_expand", "top_bn")]
    ['13', 'conv5_block3', '16', '']
    """
    found = re.match(r"((?:conv|stage)\d+_block\d+|block\d+[a-z]?)(?:_|$)", name)
    if found:
        return found[1]
    numbered = re.match(r"(?:block|conv)_(?:dw|pw|pad)?_?(\d+)(?:_|$)", name)
    return numbered[1] if numbered else ""


def _costs(table: LayerTable) -> list[_Block]:
    """Return layers that compute one by one, each with what follows it for free."""
    found: dict[int, _Block] = {}
    for row in table:
        if row.macs:
            first = found[row.macs] if row.macs in found else _Block(row.name, row.index, 0)
            found[row.macs] = _Block(first.name, first.first, row.index)
    return list(found.values())
