"""Count, mean and scatter of rows that never lie in memory together.

Two parts A and B of the rows merge by ::

    n = n_A + n_B        δ = m_B − m_A
    m = m_A + δ n_B / n
    S = S_A + S_B + δδᵀ n_A n_B / n        S = Σ (x − m)(x − m)ᵀ

Each part is centred by its own mean before it is multiplied, so a large mean costs no digits.

Source: Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
Recommendations", 1983.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np
from scipy.linalg.blas import dsyrk

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64

# Rows centred at a time: 16 MiB of float64 at 2048 features, and products long enough for BLAS.
BLOCK_ROWS = 1024


class Variances:
    """Mergeable count, mean and sum of squared deviations of each feature, in float64.

    Parameters
    ----------
    n_features : int

    Attributes
    ----------
    n_items : int
        Rows seen.
    mean : float64 array of shape (n_features,)
    """

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features
        self.n_items = 0
        self.mean: Float64 = np.zeros(n_features)
        self._start()

    @classmethod
    def of(cls, chunks: Array | Iterable[Array]) -> Self:
        """Return the moments of one array of rows, or of an iterable of them in one pass."""
        moments: Self | None = None
        for rows in [chunks] if isinstance(chunks, np.ndarray) else chunks:
            if rows.ndim != 2:
                raise _wrong_shape(rows, "n_features")
            moments = cls(rows.shape[1]) if moments is None else moments
            moments.add(rows)
        if moments is None:
            raise too_few(0)
        return moments

    def add(self, rows: Array) -> Self:
        """Take in rows (n_rows, n_features) of any real type; centred block by block."""
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise _wrong_shape(rows, str(self.n_features))
        for block in _blocks(rows):
            mean = block.mean(axis=0)
            block -= mean
            self._shift(len(block), mean, block)
        return self

    def merge(self, other: Self) -> Self:
        """Take in all rows that `other` has seen; `other` stays as it is."""
        if other.n_features != self.n_features:
            raise _wrong_shape(other.mean[None], str(self.n_features))
        if other.n_items:
            self._add_scatter(other)
            self._shift(other.n_items, other.mean, np.empty((0, self.n_features)))
        return self

    def variance(self, ddof: int = 0) -> Float64:
        """Return the variance of each feature, (n_features,)."""
        return np.asarray(self._diagonal() / self._freedom(ddof), dtype=np.float64)

    @property
    def nbytes(self) -> int:
        """Bytes held, whatever the number of rows."""
        return self.mean.nbytes + self._scatter.nbytes

    def _shift(self, n_new: int, mean: Float64, centred: Float64) -> None:
        """Merge a part of known mean and centred rows."""
        total = self.n_items + n_new
        delta = mean - self.mean
        # δδᵀ n_A n_B / n is the square of one row more.
        between = delta * np.sqrt(self.n_items * (n_new / total))
        self._multiply(np.vstack([centred, between]))
        self.mean = self.mean + delta * (n_new / total)
        self.n_items = total

    def _freedom(self, ddof: int) -> int:
        if self.n_items <= ddof:
            raise too_few(self.n_items)
        return self.n_items - ddof

    def _start(self) -> None:
        self._scatter: Float64 = np.zeros(self.n_features)

    def _multiply(self, centred: Float64) -> None:
        self._scatter += np.einsum("ij,ij->j", centred, centred)

    def _add_scatter(self, other: Self) -> None:
        self._scatter += other._scatter

    def _diagonal(self) -> Float64:
        return self._scatter


class Moments(Variances):
    """`Variances` with the products of each pair of features: what PCA and covariance need."""

    @property
    def scatter(self) -> Float64:
        """Sum of (x − mean)(x − mean)ᵀ, (n_features, n_features)."""
        upper = np.triu(self._scatter)
        upper += np.triu(upper, 1).T
        return np.asarray(upper, dtype=np.float64)

    def covariance(self, ddof: int = 1) -> Float64:
        """Return the covariance, (n_features, n_features)."""
        freedom = self._freedom(ddof)
        found = self.scatter
        found /= freedom
        return found

    def gram(self) -> Float64:
        """Return the sum of xxᵀ over the rows as they are, (n_features, n_features)."""
        found = self.scatter
        found += self.n_items * np.outer(self.mean, self.mean)
        return found

    def _start(self) -> None:
        # BLAS adds to it in place, and only above the diagonal: half the products.
        self._scatter = np.zeros((self.n_features, self.n_features), order="F")

    def _multiply(self, centred: Float64) -> None:
        self._scatter = dsyrk(1.0, centred.T, beta=1.0, c=self._scatter, overwrite_c=True)

    def _diagonal(self) -> Float64:
        return np.diagonal(self._scatter)


def _blocks(rows: Array) -> Iterator[Float64]:
    """Yield copies in float64."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS].astype(np.float64)


def _wrong_shape(rows: Array, width: str) -> ShapeError:
    return ShapeError(
        f"Rows of shape {rows.shape} have no moments here.",
        f"Each row is one vector of {width} numbers.",
        f"Shape (n_rows, {width}).",
        "Look at it with:  rows.shape",
    )


def too_few(n_items: int) -> UsageError:
    """Return the error for statistics of fewer rows than they need."""
    return UsageError(
        f"{n_items} {'row is' if n_items == 1 else 'rows are'} too few for the spread of features.",
        f"A variance needs two (n_samples = {n_items}).",
        "Two rows or more.",
        "Add rows with:  moments.add(rows)",
    )
