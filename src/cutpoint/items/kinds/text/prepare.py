"""Text → token ids, filled up to a multiple of 8.

How wide an item is depends on the item alone, and a batch holds items of one width, so no row
depends on how long its companions are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cutpoint.base.stopwatch import lap
from cutpoint.base.types import Array, Prepared
from cutpoint.items.kinds.text.read import texts_of
from cutpoint.items.kinds.text.spec import TextSpec
from cutpoint.items.kinds.text.tokenizers import Encoded, reader_of

MULTIPLE = 8
"""Widths are multiples of it, so that batches fill up. 120 sentences, 17 tokens on average, are
19 % more tokens so and 10 % more in multiples of 4; exact widths leave too few to a batch."""
MOSTLY_UNKNOWN = 0.5


def prepare_item(payload: Any, spec: TextSpec, name: str = "") -> tuple[Prepared, tuple[str, ...]]:
    """Return ids, mask and types of a text, and notes.

    Parameters
    ----------
    payload : str, pair of str, or bytes of a file in UTF-8
    spec : TextSpec

    Returns
    -------
    prepared : dict of input → int64 array of shape (width,)
        (n_windows, width), if a text is read in chunks.
    notes : tuple of str

    Raises
    ------
    BadItem
        If it is no text, or has no token of its own.
    """
    found = reader_of(spec).encode(*texts_of(payload))
    width = _width(max(len(each.ids) for each in found.windows), spec)
    rows = [_row(each, width, spec) for each in found.windows]
    lap("preprocess")
    if spec.long == "chunks":
        return {each: np.stack([row[each] for row in rows]) for each in rows[0]}, _notes(
            found, spec
        )
    return rows[0], _notes(found, spec)


def _width(n_tokens: int, spec: TextSpec) -> int:
    """Return the next multiple of 8, as far as the network takes so many."""
    if not spec.mask:
        return n_tokens
    return max(n_tokens, min(-(-n_tokens // MULTIPLE) * MULTIPLE, spec.max_tokens))


def _row(encoding: Any, width: int, spec: TextSpec) -> dict[str, Array]:
    found = {spec.ids: _filled(encoding.ids, width, spec.pad_id)}
    if spec.mask:
        found[spec.mask] = _filled(encoding.attention_mask, width)
    if spec.types:
        found[spec.types] = _filled(encoding.type_ids, width)
    return found


def _filled(values: list[int], width: int, filler: int = 0) -> Array:
    row = np.full(width, filler, np.int64)
    row[: len(values)] = values
    return row


def _notes(found: Encoded, spec: TextSpec) -> tuple[str, ...]:
    notes = []
    if is_cut(found, spec):
        notes.append(f"cut at {spec.max_tokens} tokens")
    if found.n_unknown > MOSTLY_UNKNOWN * found.n_own:
        notes.append("most of its tokens are unknown to the tokenizer")
    return tuple(notes)


def is_cut(found: Encoded, spec: TextSpec) -> bool:
    """Say whether the network is not given all of a text."""
    return spec.long == "truncate" and found.n_tokens > spec.max_tokens
