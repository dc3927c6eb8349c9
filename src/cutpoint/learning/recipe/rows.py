"""Training rows under the stages so far: in memory if they fit there, else read in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cutpoint.base.types import Array
from cutpoint.features.store import CHUNK_ROWS, Features
from cutpoint.learning.heads import LearnedPoolHead
from cutpoint.learning.recipe.spelling import LEARNED, STATELESS, Fitter
from cutpoint.learning.recipe.widths import differing_widths

Chunks = Callable[[], Iterator[Array]]
"""Starts anew each time it is called."""


@dataclass(frozen=True)
class Rows:
    """One matrix, (n_rows, n_features).

    Attributes
    ----------
    whole : array or None
        The matrix, if it is in memory.
    chunks : callable
        Yields it in parts, in order.
    n_rows : int
    at_most_bytes : int
        What a matrix may take in memory; a larger one is read anew for each stage that learns.
    """

    whole: Array | None
    chunks: Chunks
    n_rows: int
    at_most_bytes: int

    @classmethod
    def of_tap(cls, features: Features, tap: str, rows: Array, at_most_bytes: int) -> Rows:
        """Return the stored features of a tap."""
        return _kept(lambda: features.chunks(tap, rows, CHUNK_ROWS), len(rows), at_most_bytes)

    def read(self) -> Array:
        """Return the matrix, whatever its size."""
        return np.concatenate(list(self.chunks())) if self.whole is None else self.whole

    def fit(self, transform: Fitter, y: Array, groups: Array | None = None) -> None:
        """Fit a transform: on the whole, on one pass of chunks, or on all rows after all.

        A pool that learns stops by some of the rows, `groups` whole.
        """
        first = next(self.chunks())
        if isinstance(transform, LearnedPoolHead):
            transform.fit(self.read(), y, groups)
        elif self.whole is not None:
            transform.fit(self.whole, y)
        elif transform.kind in STATELESS:
            transform.fit(first)
        elif hasattr(transform, "fit_stream") and self.n_rows > first.shape[1]:
            # A covariance of more columns than rows would be larger than the rows themselves.
            transform.fit_stream(self.chunks())
        else:
            transform.fit(self.read(), y)

    def through(self, transform: Fitter) -> Rows:
        """Return the rows as a fitted transform gives them."""
        if self.whole is not None:
            return _whole(transform.transform(self.whole), self.at_most_bytes)

        def chunks() -> Iterator[Array]:
            return (transform.transform(each) for each in self.chunks())

        return _kept(chunks, self.n_rows, self.at_most_bytes)

    @property
    def width(self) -> int:
        return int(next(self.chunks()).shape[1])


def joined(how: str, parts: Sequence[Rows], taps: Sequence[str]) -> Rows:
    """Return the rows of several taps as one, as `aggregated` does."""
    first = parts[0]
    wholes = [part.whole for part in parts if part.whole is not None]
    if len(wholes) == len(parts):
        return _whole(aggregated(how, wholes, taps), first.at_most_bytes)

    def chunks() -> Iterator[Array]:
        for each in zip(*(_evenly(part) for part in parts), strict=True):
            yield aggregated(how, each, taps)

    return _kept(chunks, first.n_rows, first.at_most_bytes)


def aggregated(how: str, parts: Sequence[Array], taps: Sequence[str]) -> Array:
    """Return the matrices of several taps as one."""
    if how in ("", "concat", LEARNED):
        return np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    widths = {tap: part.shape[1] for tap, part in zip(taps, parts, strict=True)}
    if len(set(widths.values())) > 1:
        raise differing_widths(how, widths)
    stacked = np.stack(parts)
    whole: Array = stacked.mean(axis=0) if how == "mean" else stacked.max(axis=0)
    return whole


def _whole(matrix: Array, at_most_bytes: int) -> Rows:
    return Rows(matrix, lambda: iter([matrix]), len(matrix), at_most_bytes)


def _kept(chunks: Chunks, n_rows: int, at_most_bytes: int) -> Rows:
    """Return rows in memory if they fit there, as their first chunk tells."""
    first = next(chunks(), np.empty((0, 0), np.float32))
    if n_rows * first[:1].nbytes <= at_most_bytes:
        return _whole(np.concatenate(list(chunks()) or [first]), at_most_bytes)
    return Rows(None, chunks, n_rows, at_most_bytes)


def _evenly(rows: Rows) -> Iterator[Array]:
    """Yield chunks of the size in which features are read, whether in memory or not."""
    if rows.whole is None:
        return rows.chunks()
    return (rows.whole[start : start + CHUNK_ROWS] for start in range(0, rows.n_rows, CHUNK_ROWS))
