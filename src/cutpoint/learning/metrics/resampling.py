"""Intervals from items drawn again: of one score, of a difference, of the best of many.

What is drawn are the test items, so an interval says what other test items of the same kind would
give; it says nothing of other training rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.metrics.intervals import Interval

N_DRAWS = 2000  # quantiles of 2.5 % then rest on 50 draws
_CELLS = 1 << 20  # places drawn at a time: 8 MB


def bootstrap(
    scores: Array,
    n_draws: int = N_DRAWS,
    strata: Array | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean score of items with its percentile interval.

    Parameters
    ----------
    scores : array of shape (n_items,)
        One number an item, such as right or wrong; larger is better or worse, as you like.
    n_draws : int
        How often so many items are drawn again, with replacement.
    strata : array of shape (n_items,), optional
        Drawn within each, so that their sizes stay: classes, most often.
    confidence : float, 0–1
    seed : int
        Seed of the draws.

    Notes
    -----
    Percentile intervals of few items are a little narrow. Where all items score the same the
    interval has no width at all; `wilson` is the one for proportions near 0 and 1.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    scores = _checked(scores, 1)
    means = drawn_means(scores[None], n_draws, strata, seed)[:, 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(scores.mean()), float(low), float(high))


def paired_bootstrap(
    a: Array,
    b: Array,
    n_draws: int = N_DRAWS,
    strata: Array | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean of ``a − b`` with its interval, both scored on the same items.

    Parameters
    ----------
    a, b : arrays of shape (n_items,)
        Right or wrong, or any score an item, of two models.
    n_draws, strata, confidence, seed
        As in `bootstrap`.

    Notes
    -----
    Items that are hard for both cancel out, so the interval is narrower than two intervals side
    by side suggest. If it holds 0, these items can't tell the two apart.
    """
    a, b = _checked(a, 1), _checked(b, 1)
    if a.shape != b.shape:
        raise _mismatch(f"One has {len(a)} scores, the other {len(b)}.")
    return bootstrap(a - b, n_draws, strata, confidence, seed)


def max_t(
    scores: Array,
    n_draws: int = N_DRAWS,
    strata: Array | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Interval, ...]:
    """Return intervals of many candidates' mean scores that hold all at once.

    So that of the best one, picked by these very scores, holds too.

    Parameters
    ----------
    scores : array of shape (n_candidates, n_items)
        All candidates on the same items.
    n_draws, strata, confidence, seed
        As in `bootstrap`.

    Notes
    -----
    Each is mean ± c, with one c: the quantile, over draws, of the candidates' largest distance from
    mean to drawn mean. Candidates that err alike cost little, independent ones nearly as much as
    Bonferroni's correction. Distances are not divided by their standard errors: so divided, with 30
    candidates right on 90 % of 100 items, the best one's interval held 90 % in 74 of 100 runs, else
    in all; the best by luck is also the one whose error looks smallest.

    References
    ----------
    Westfall and Young, "Resampling-Based Multiple Testing", 1993; Romano and Wolf, "Stepwise
    Multiple Testing as Formalized Data Snooping", 2005.
    """
    scores = _checked(scores, 2)
    means = drawn_means(scores, n_draws, strata, seed)
    middle = scores.mean(axis=1)
    c = float(np.quantile(np.abs(means - middle).max(axis=1), confidence))
    return tuple(Interval(float(m), float(m - c), float(m + c)) for m in middle)


def drawn_means(scores: Float64, n_draws: int, strata: Array | None, seed: int) -> Float64:
    """Return the means of items drawn again, (n_draws, n_candidates), of (n_candidates, n_items).

    Every candidate sees the same draws.
    """
    n_items = scores.shape[1]
    if n_draws < 1:
        raise UsageError(
            f"{n_draws} draws give no interval by bootstrap.",
            "Each draw gives one score, and the interval is where most of them lie.",
            "1 draw or more; 2000 leave 50 beyond each end of a 95 % interval.",
            "Type, for example:  bootstrap(predicted == truth, n_draws=2000)",
        )
    if strata is not None and len(strata) != n_items:
        raise _mismatch(f"There are {n_items} scores and {len(strata)} strata.")
    counts = (
        np.bincount(places, minlength=n_items) for places in _draws(n_items, n_draws, strata, seed)
    )
    means: Float64 = np.stack([scores @ count for count in counts]) / n_items
    return means


def _draws(n_items: int, n_draws: int, strata: Array | None, seed: int) -> Iterator[Array]:
    """Yield the places of drawn items, as many of each stratum as there are."""
    names = np.zeros(n_items, int) if strata is None else np.unique(strata, return_inverse=True)[1]
    order = np.argsort(names, kind="stable")
    sizes = np.bincount(names)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    random = np.random.default_rng(seed)
    at_a_time = max(1, _CELLS // n_items)
    for done in range(0, n_draws, at_a_time):
        shape = (min(at_a_time, n_draws - done), n_items)
        yield from order[starts + random.integers(np.repeat(sizes, sizes), size=shape)]


def _checked(scores: Array, n_axes: int) -> Float64:
    found = np.asarray(scores, dtype=np.float64)
    if found.ndim != n_axes or not found.size:
        raise _mismatch(f"The scores have shape {found.shape}.")
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise DataError(
            "These scores have no interval by bootstrap.",
            f"{bad} of {found.size} scores are NaN or infinity.",
            "A finite score for every item.",
            "Leave those items out with:  scores[numpy.isfinite(scores)]",
        )
    return found


def _mismatch(got: str) -> ShapeError:
    return ShapeError(
        "These scores have no interval by bootstrap.",
        got,
        "One score an item, (n_items,); for max_t (n_candidates, n_items).",
        "Type, for example:  bootstrap(predicted == truth)",
    )
