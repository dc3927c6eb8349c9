"""Confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest


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
    """
    bounds = binomtest(n_right, n_items).proportion_ci(confidence, method="wilson")
    return Interval(n_right / n_items, float(bounds.low), float(bounds.high))
