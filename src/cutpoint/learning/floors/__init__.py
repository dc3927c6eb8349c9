"""Plain methods that need no network: what a result must beat to be worth it. One file each.

Each has ``SAYS``, a line for people, and ``make(target)``, which returns a scikit-learn estimator
of *items*: ``fit(items, y)`` learns from training items alone.
"""

from __future__ import annotations

from typing import Any, Protocol

from cutpoint.base.arguments import check_choice
from cutpoint.learning.floors import majority, pixels


class Floor(Protocol):
    SAYS: str

    def make(self, target: str) -> Any:
        """Return an unfitted estimator of items, for "classes", "labels" or "values".

        For classes it has `predict_proba`; for labels, given as columns of 0 and 1, and for
        values it has `predict`.
        """


FLOORS: dict[str, Floor] = {"majority": majority, "pixels": pixels}


def find_floor(name: str) -> Floor:
    """Return a floor by its name; raises `UsageError` if there is none of that name."""
    check_choice("floor", name, tuple(FLOORS), "majority")
    return FLOORS[name]


__all__ = ["FLOORS", "Floor", "find_floor"]
