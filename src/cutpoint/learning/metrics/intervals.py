"""Confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from scipy.stats import binomtest

from cutpoint.base.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """An estimate between its bounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(n_right: int, n_items: int, confidence: float = 0.95) -> Interval:
    """Return a proportion with its Wilson score interval (scipy's).

    Parameters
    ----------
    n_right, n_items : int
        ``0 <= n_right <= n_items``, `n_items` > 0.
    confidence : float, 0–1

    Raises
    ------
    UsageError
        If there are no items, not so many that could be right, or they are no whole numbers.
    """
    is_whole = all(isinstance(n, Integral) for n in (n_right, n_items))
    if not is_whole or not 0 <= n_right <= n_items or not n_items or not 0 < confidence < 1:
        raise UsageError(
            "This proportion has no interval of Wilson's.",
            f"It is {n_right!r} of {n_items!r} items, with confidence {confidence}.",
            "Whole numbers, from none to all of one item or more; a confidence between 0 and 1.",
            "Type, for example:  wilson(9, 10)",
        )
    bounds = binomtest(n_right, n_items).proportion_ci(confidence, method="wilson")
    return Interval(n_right / n_items, float(bounds.low), float(bounds.high))
