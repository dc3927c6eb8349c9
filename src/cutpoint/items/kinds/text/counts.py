"""What is counted of each text beside its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cutpoint.base.tongue import option
from cutpoint.items.kinds.text.prepare import MOSTLY_UNKNOWN, is_cut
from cutpoint.items.kinds.text.read import texts_of
from cutpoint.items.kinds.text.spec import TextSpec
from cutpoint.items.kinds.text.tokenizers import reader_of

COUNTS = ("n_tokens", "truncated", "n_unknown")


def counts(payload: Any, spec: TextSpec) -> Mapping[str, int]:
    """Return how many tokens a text has, whether it is cut, and how many tokens are unknown.

    Raises
    ------
    BadItem
        As `prepare_item`.
    """
    found = reader_of(spec).encode(*texts_of(payload))
    return {
        "n_tokens": found.n_tokens,
        "truncated": int(is_cut(found, spec)),
        "n_unknown": found.n_unknown,
    }


def told(counted: Mapping[str, Sequence[int]], spec: TextSpec) -> tuple[str, ...]:
    """Return what is to be said, before anything is computed, of the texts that were counted."""
    n_all = len(counted["n_tokens"])
    n_cut, n_long = sum(counted["truncated"]), sum(n > spec.max_tokens for n in counted["n_tokens"])
    pairs = zip(counted["n_unknown"], counted["n_tokens"], strict=True)
    n_strange = sum(unknown > MOSTLY_UNKNOWN * n for unknown, n in pairs)
    lines = []
    if n_cut:
        lines.append(
            f"{n_cut} of {n_all} texts are cut at {spec.max_tokens} tokens (the limit in "
            f"{spec.limit_from}); read on in windows with:  {option('long', 'chunks')}"
        )
    elif n_long:
        lines.append(f"{n_long} of {n_all} texts are read in windows of {spec.max_tokens} tokens")
    if n_strange:
        lines.append(
            f"{n_strange} of {n_all} texts are mostly unknown to the tokenizer: another language, "
            "or no words"
        )
    return tuple(lines)
