"""What most kinds of item share; a kind that has no use for a name of `contracts.Kind` takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cutpoint.base.contracts import InGraph
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Preprocess
from cutpoint.base.tongue import option, options
from cutpoint.base.types import Prepared

COLUMNS: tuple[str, ...] = ("path",)
BESIDE: tuple[str, ...] = ()
LINES: frozenset[str] = frozenset()


def payload_of(given: Any) -> Any:
    """Nothing in memory is an item but the bytes of a file."""
    return None


def refuse_one(given: Any) -> None:
    """No single item looks like several."""


def in_graph(spec: Any) -> Mapping[str, InGraph]:
    """Nothing is done in the graph."""
    return {}


def decoding(spec: Any, decode: str) -> Preprocess:
    """Raise `UsageError`: files are read in one way alone."""
    raise UsageError(
        f'Items can\'t be decoded "{decode}".',
        f"They are of kind {spec.kind}, of which nothing is decoded at another size.",
        "A backbone of images.",
        f"Leave out {option('decode')}",
    )


def adjusted(spec: Any, given: Mapping[str, Any]) -> Preprocess:
    """Raise `UsageError`: nothing more can be said of how items are read."""
    raise UsageError(
        f"{options(*given)} can't be followed: the backbone reads items of kind {spec.kind}.",
        "Nothing of that name can be said of such items.",
        "A backbone whose items it is said of.",
        f"Leave out {options(*given)}",
    )


def remarks(spec: Any) -> Sequence[str]:
    """There is nothing to know."""
    return ()


def decodes_smaller(payload: Any, spec: Any) -> bool:
    """No payload does."""
    return False


def picture(payload: Any, spec: Any) -> str:
    """There is nothing to see."""
    return ""


def snippet(payload: Any, spec: Any) -> str:
    """There is nothing to read."""
    return ""


def n_at_once(item: Prepared, n_usual: int) -> int:
    """As many as the engine is fastest with."""
    return n_usual


def parts(prepared: Prepared, spec: Any) -> Sequence[Prepared]:
    """An item is one part."""
    return (prepared,)


COUNTS: tuple[str, ...] = ()
"""Nothing is counted of an item."""


def counts(payload: Any, spec: Any) -> Mapping[str, int]:
    """Nothing is counted."""
    return {}


def told(counted: Mapping[str, Sequence[int]], spec: Any) -> tuple[str, ...]:
    """Nothing is to be said."""
    return ()
