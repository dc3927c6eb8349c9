"""Plain methods that need no network: what a result must beat to be worth it. One file each.

Each has ``SAYS``, a line for people, and ``make(target)``, which returns a scikit-learn estimator
of *items*: ``fit(items, y)`` learns from training items alone.
"""

from __future__ import annotations

from typing import Any, Protocol

from cutpoint.base.arguments import check_choice
from cutpoint.learning.floors import majority, pixels, tfidf


class Floor(Protocol):
    """A plain method.

    Attributes
    ----------
    SAYS : str
        What it is, in the middle of a sentence.
    IS_QUICK : bool
        Whether it costs seconds, so that each fit reports it.
    IS_BLIND : bool
        Whether it looks at no item: then its score has no interval worth a look, and labels would
        be given to all items or none.
    """

    SAYS: str
    IS_QUICK: bool
    IS_BLIND: bool

    def make(self, target: str) -> Any:
        """Return an unfitted estimator of items, for "classes", "labels" or "values".

        For classes it has `predict_proba`; for labels, given as columns of 0 and 1, and for
        values it has `predict`.
        """


FLOORS: dict[str, Floor] = {"majority": majority, "pixels": pixels, "tfidf": tfidf}


def find_floor(name: str) -> Floor:
    """Return a floor by its name; raises `UsageError` if there is none of that name."""
    check_choice("floor", name, tuple(FLOORS), "majority")
    return FLOORS[name]


__all__ = ["FLOORS", "Floor", "find_floor"]
