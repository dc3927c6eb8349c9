"""Rows taken out of a fit again: one by one, or the rows of a group together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64

# Numbers held for one block of rows: 2 MiB, so that they stay in the cache of a core.
_BLOCK_NUMBERS = 2**18


@dataclass(frozen=True)
class Fits:
    """Ridge of several λ fitted on all rows; made by `Spectrum.fits`.

    Attributes
    ----------
    vectors : float64 array of shape (n_items, rank)
    weights : float64 array of shape (n_items,)
    of_mean : float
        The intercept's part of the hat matrix: 1/Σw, or 0 without one.
    centred : float64 array of shape (n_items, n_targets)
        Targets less their mean.
    shrink : float64 array of shape (rank, n_alphas)
        g of each λ.
    shrunk : float64 array of shape (rank, n_alphas × n_targets)
        Coordinates of the fits.
    """

    vectors: Float64
    weights: Float64
    of_mean: float
    centred: Float64
    shrink: Float64
    shrunk: Float64

    def left_out(self, members: Array) -> Float64:
        """Return target less prediction without the row, or without its group.

        Parameters
        ----------
        members : int array of shape (n_groups, size)
            Row numbers.

        Returns
        -------
        errors : float64 array of shape (n_alphas, n_targets, n_groups × size)
            Rows last: what is done to each runs along them.
        """
        rows = _span(members.ravel())
        vectors, weights = self.vectors[rows], self.weights[rows]
        shape = self.shrink.shape[1], self.centred.shape[1], len(vectors)
        residuals = (self.shrunk.T @ vectors.T).reshape(shape)
        np.subtract(self.centred[rows].T, residuals, out=residuals)
        if members.shape[1] == 1:
            leverage = weights * (self.of_mean + self.shrink.T @ np.square(vectors).T)
            residuals /= (1.0 - leverage)[:, None]
            return np.asarray(residuals, dtype=np.float64)
        return self._groups_left_out(members, vectors, residuals)

    def _groups_left_out(self, members: Array, vectors: Float64, residuals: Float64) -> Float64:
        """Solve with each group's block of the hat matrix, λ by λ."""
        blocks = vectors.reshape(*members.shape, -1)
        weights = self.weights[members][:, None, :]
        by_group = residuals.reshape(*residuals.shape[:2], *members.shape)
        for shrink, errors in zip(self.shrink.T, by_group, strict=True):
            hat = (self.of_mean + (blocks * shrink) @ blocks.transpose(0, 2, 1)) * weights
            rest = np.eye(members.shape[1]) - hat
            errors[:] = np.linalg.solve(rest, errors.transpose(1, 2, 0)).transpose(2, 0, 1)
        return residuals

    def blocks(self, groups: Array | None) -> Iterator[Array]:
        """Yield `members` for `left_out` until each row was there once, some at a time."""
        at_a_time = _BLOCK_NUMBERS // max(self.shrunk.shape[1], self.shrunk.shape[0])
        for members in members_of(groups, self.weights):
            step = max(1, at_a_time // members.shape[1])
            for start in range(0, len(members), step):
                yield members[start : start + step]


def _span(rows: Array) -> Array | slice:
    """Return row numbers as a slice if they follow one another: such rows need no copy."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(first, last + 1)
    return rows


def members_of(groups: Array | None, weights: Float64) -> list[Array]:
    """Return, for each size there is, the row numbers (n_groups, size) of its groups.

    Raises
    ------
    ShapeError, UsageError
        If groups are not one per row; if all rows that weigh anything are of one group, so that
        nothing is left to fit on.
    """
    groups = np.arange(len(weights)) if groups is None else np.asarray(groups)
    if groups.shape != weights.shape:
        raise ShapeError(
            f"Groups of shape {groups.shape} don't fit {len(weights)} rows.",
            "Rows of one group are left out together.",
            f"Shape ({len(weights)},).",
            "Look at it with:  groups.shape",
        )
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if np.count_nonzero(np.bincount(inverse, weights)) < 2:
        raise UsageError(
            f"Groups can't be left out: all {np.count_nonzero(weights)} rows are of one group.",
            "Nothing is left to fit on.",
            "Two groups or more.",
            "Look at them with:  numpy.unique(groups)",
        )
    order, starts = np.argsort(inverse, kind="stable"), np.cumsum(counts) - counts
    return [order[starts[counts == size][:, None] + np.arange(size)] for size in np.unique(counts)]
