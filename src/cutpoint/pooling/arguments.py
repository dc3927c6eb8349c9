"""What stands in a pool's brackets, read and spelled in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cutpoint.pooling.spp import LEVELS

Read = tuple[dict[str, Any], tuple[str, ...]]
"""Arguments for the pool's function, and their canonical spelling; defaults are in neither."""

Reader = Callable[[Sequence[str]], Read]
"""Words between the commas → `Read`; ValueError if they are none of this pool's."""


def nothing(words: Sequence[str]) -> Read:
    """Read no argument."""
    if words:
        raise ValueError(words)
    return {}, ()


def exponent(name: str, default: float) -> Reader:
    """Return a reader of one positive decimal number."""

    def read(words: Sequence[str]) -> Read:
        (word,) = words or [f"{default:g}"]
        number = float(word) if re.fullmatch(r"\d+(\.\d+)?", word) else 0.0
        if number <= 0:
            raise ValueError(word)
        return ({}, ()) if number == default else ({name: number}, (f"{number:g}",))

    return read


def count(name: str, default: int | None = None) -> Reader:
    """Return a reader of one whole number, 1 or more; without a default it must be given."""

    def read(words: Sequence[str]) -> Read:
        (word,) = words or [str(default)]
        number = _whole(word)
        return ({}, ()) if number == default else ({name: number}, (str(number),))

    return read


def target(words: Sequence[str]) -> Read:
    """Read Head2Toe's number of features, and whether its authors' quirks are wanted."""
    is_compat = len(words) == 2 and words[1] == "compat"
    (word,) = words[:1] if is_compat else words
    arguments = {"target": _whole(word)}
    if not is_compat:
        return arguments, (word,)
    return {**arguments, "compat": True}, (word, "compat")


def levels(words: Sequence[str]) -> Read:
    """Read the levels of a pyramid, in any order, and how they are pooled."""
    how = words[-1] if words and words[-1] in ("mean", "max") else ""
    numbers = [_whole(word) for word in (words[:-1] if how else words)] or list(LEVELS)
    if len(set(numbers)) < len(numbers):
        raise ValueError(words)
    found: dict[str, Any] = {"levels": tuple(sorted(numbers)), "how": how or "mean"}
    spelled = [str(number) for number in found["levels"]] + [found["how"]]
    if found["how"] == "mean":
        del found["how"], spelled[-1]
    if found["levels"] == LEVELS:
        del found["levels"], spelled[: len(LEVELS)]
    return found, tuple(spelled)


def _whole(word: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", word):
        raise ValueError(word)
    return int(word)
