"""What most kinds of item share; a kind that has no use for a name of `contracts.Kind` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cutpoint.base.contracts import InGraph
from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Preprocess
from cutpoint.base.tongue import option

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


def decodes_smaller(payload: Any, spec: Any) -> bool:
    """No payload does."""
    return False


def picture(payload: Any, spec: Any) -> str:
    """There is nothing to see."""
    return ""
