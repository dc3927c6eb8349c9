"""What stands in a pool's brackets, read and spelled in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cutpoint.networks.pooling.spp import LEVELS

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
    """Read the levels of a pyramid, in any order, how they are pooled, and in which bins."""
    flags = [word for word in words if word in ("mean", "max", "adaptive")]
    numbers = tuple(sorted(map(_whole, words[: len(words) - len(flags)]))) or LEVELS
    how = "max" if "max" in flags else "mean"
    is_adaptive = "adaptive" in flags
    if len(set(words)) < len(words) or {"mean", "max"} <= set(flags):
        raise ValueError(words)
    given: list[tuple[str, Any, Sequence[Any]]] = []
    given += [("levels", numbers, numbers)] if numbers != LEVELS else []
    given += [("how", how, (how,))] if how != "mean" else []
    given += [("adaptive", True, ("adaptive",))] if is_adaptive else []
    arguments = {name: value for name, value, _ in given}
    return arguments, tuple(str(word) for *_, spelled in given for word in spelled)


def _whole(word: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", word):
        raise ValueError(word)
    return int(word)
