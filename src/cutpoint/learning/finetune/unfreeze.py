"""``unfreeze=``: what is trained, in one word, and where the network is cut for it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cutpoint.base.contracts import Parameter
from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.learning.finetune.blocks import Blocks
from cutpoint.networks.layer_table import FEATURES, LayerTable

NORM, LAST, LAYERS, FROM, ALL, LORA = "norm", "last", "layers", "from", "all", "lora"
_GRAMMAR = (
    (NORM, re.compile(r"norm(?::(\d+))?$")),
    (LAST, re.compile(r"last:(\d+)$")),
    (LAYERS, re.compile(r"last:(\d+)layers?$")),
    (FROM, re.compile(r"from:(.+)$")),
    (ALL, re.compile(r"(all)$")),
    (LORA, re.compile(r"lora\((\d+)\)$")),
)


@dataclass(frozen=True)
class Unfreeze:
    """What is trained, as it was typed.

    Attributes
    ----------
    kind : {"norm", "last", "layers", "from", "all", "lora"}
    n : int
        Blocks of ``norm:N`` and ``last:N``, layers of ``last:Nlayers``, the rank of ``lora(N)``.
    tap : str
        The first layer that is trained, by ``from:``: a name or an index.
    """

    kind: str
    n: int = 0
    tap: str = ""

    def __str__(self) -> str:
        spelled = {NORM: "norm" if self.n == 1 else f"norm:{self.n}", LAST: f"last:{self.n}"}
        spelled |= {LAYERS: f"last:{self.n}layers", FROM: f"from:{self.tap}", ALL: ALL}
        return {**spelled, LORA: f"lora({self.n})"}[self.kind]

    @property
    def rank(self) -> int:
        return self.n if self.kind == LORA else 0


def parse_unfreeze(text: str) -> Unfreeze:
    """Return what `text` says.

    Raises
    ------
    UsageError
        If it says nothing of the kind; all that can be said is listed.

    Examples
    --------
    >>> [str(parse_unfreeze(each)) for each in ("norm", "last:2", "from:-10", "lora(8)")]
    ['norm', 'last:2', 'from:-10', 'lora(8)']
    """
    typed = text.replace(" ", "") if isinstance(text, str) else ""
    for kind, pattern in _GRAMMAR:
        found = pattern.match(typed)
        if found and kind == FROM:
            return Unfreeze(FROM, tap=found[1])
        if found and kind == ALL:
            return Unfreeze(ALL)
        if found and int(found[1] or 1) > 0:
            return Unfreeze(kind, int(found[1] or 1))
    raise UsageError(
        f"Nothing is unfrozen by {text!r}.",
        "It is none of the words for what is trained.",
        "norm (scales and shifts of the last block), norm:N, last:N (blocks), last:Nlayers, "
        "from:LAYER (a name or an index), all, lora(N) (attention, by products of rank N).",
        f"Type, for example:  {option('unfreeze', 'last:1')}",
    )


@dataclass(frozen=True)
class Unfrozen:
    """What a network's parameters become.

    Attributes
    ----------
    said : Unfreeze
    trainable : tuple of Parameter
    first : int
        Index of the first layer that holds one.
    """

    said: Unfreeze
    trainable: tuple[Parameter, ...]
    first: int

    def cuts(self, table: LayerTable, blocks: Blocks) -> list[str]:
        """Return layers to cut at, nothing trained before them, the best first.

        That is the one with the least to store, from the end of the block before on; else the
        deepest.
        """
        if self.said.kind == ALL:
            return []
        below = [row for row in table if row.index < self.first]
        usable = [row for row in below if row.tappable and row.holds == FEATURES]
        own = blocks.of(table[self.first].name)
        start = min((row.index for row in table if blocks.of(row.name) == own), default=0)
        near = [row for row in usable if row.index >= start - 1]
        far = [row for row in usable if row.index < start - 1]
        near.sort(key=lambda row: (math.prod(size or 1 for size in row.shape[1:]), -row.index))
        return [row.name for row in (*near, *reversed(far))]


def unfrozen(
    said: Unfreeze, known: Sequence[Parameter], table: LayerTable, end: str, backbone: str
) -> Unfrozen:
    """Return what is trained of a network whose features are read no deeper than at `end`.

    Raises
    ------
    UsageError
        If nothing is, or more blocks are named than there are.
    TapNotFound
        If there is no layer of that name or index.
    """
    last = table[end].index
    first = _first_layer(said, table, Blocks(table, last), last)
    indices = {row.name: row.index for row in table}
    taken = tuple(
        each
        for each in known
        if first <= indices[each.layer] <= last and (not _role(said) or each.role in _role(said))
    )
    if not taken:
        raise _nothing(said, known, table, backbone)
    return Unfrozen(said, taken, min(indices[each.layer] for each in taken))


def _role(said: Unfreeze) -> tuple[str, ...]:
    return {NORM: ("norm",), LORA: ("query", "value")}.get(said.kind, ())


def _first_layer(said: Unfreeze, table: LayerTable, blocks: Blocks, last: int) -> int:
    """Return the index of the first layer that may be trained."""
    if said.kind in (ALL, LORA):
        return 0
    if said.kind == FROM:
        is_index = re.fullmatch(r"-?\d+", said.tap) is not None
        row = table[int(said.tap) if is_index else said.tap]
        return min(each.index for each in table if f"{each.name}.".startswith(f"{row.name}."))
    if said.kind == LAYERS:
        single = [row.index for row in table if not row.is_block and row.index <= last]
        return single[-said.n] if said.n <= len(single) else 0
    if said.n > len(blocks.names):
        raise UsageError(
            f"{said} is more than the network has: {len(blocks.names)} blocks.",
            f"They are: {', '.join(blocks.names) or 'none'}.",
            "Fewer of them, a layer to begin with, or all.",
            f"Type, for example:  {option('unfreeze', f'last:{max(1, len(blocks.names))}')}",
        )
    return min(row.index for row in table if blocks.of(row.name) == blocks.names[-said.n])


def _nothing(
    said: Unfreeze, known: Sequence[Parameter], table: LayerTable, backbone: str
) -> UsageError:
    what = {NORM: "normalisation layers", LORA: "projections of attention"}
    return UsageError(
        f'"{said}" unfreezes nothing in "{backbone}".',
        f"There are no {what.get(said.kind, 'parameters')} there.",
        f"Other words; {len(known)} of its tensors can be trained.",
        f"Type, for example:  {option('unfreeze', 'last:1')}",
    )
