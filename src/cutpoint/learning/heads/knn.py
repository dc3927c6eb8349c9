"""Nearest neighbours, each counting by its similarity."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.errors import FewerThanAsked
from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import Head
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.values import Regressor, relative_error
from cutpoint.learning.shared.folds import units_of
from cutpoint.learning.shared.limits import Limit, is_number, several

KS = (10, 20, 100, 200)  # DINOv2's
TEMPERATURE = 0.07  # DINOv2's
NEIGHBOURS = several(
    Limit("a whole number, 1 or more", lambda k: is_number(k) and k >= 1 and k % 1 == 0)
).or_none.like(20)
_BLOCK_ROWS = 1024  # compared at a time


class Neighbours(Head):
    """The k most similar training rows count, each weighted by exp(similarity / 0.07).

    Parameters
    ----------
    k : int or sequence of int, optional
        Neighbours, or candidates; 10, 20, 100 and 200 by default, as far as there are rows. The
        one that does best when each row is left out is taken; the first of equals.

    Attributes
    ----------
    k_ : int
    rows_ : array of shape (n_items, n_features)
        Training rows of length 1, in the type they came in.
    held_out_scores_ : float64 array of shape (n_items, n_outputs)
        By all rows but the row's own group.

    Notes
    -----
    Similarity is the cosine.
    """

    kind = "knn"
    stays: ClassVar[str] = "each row is compared with all training rows"
    limits: ClassVar[Mapping[str, Limit]] = {"k": NEIGHBOURS}

    def __init__(self, k: Any = None) -> None:
        self.k = k

    @property
    def chosen(self) -> dict[str, Any]:
        return {"k": self.k_}

    def outputs(self, X: Any) -> Float64:
        """Return what the neighbours of each row say, (n_items, n_outputs)."""
        return self._asked(self._rows_to_score(X), [self.k_])[0]

    @abstractmethod
    def _said(self, near: Array, weights: Float64) -> Float64:
        """Return what neighbours say, (n_items, n_outputs).

        Parameters
        ----------
        near : int array of shape (n_items, k)
            Numbers of training rows.
        weights : float64 array of shape (n_items, k)
            1 of the nearest.
        """

    def _choose(self, X: Array, groups: Any, loss: Callable[[Float64], float]) -> None:
        """Keep training rows and the k with the least `loss` of what is said of rows left out."""
        self.rows_ = _of_length_one(X)
        candidates = self._candidates(len(X))
        found = self._asked(X, candidates, units_of(len(X), groups))
        best = int(np.argmin([loss(each) for each in found]))
        self.k_, self.held_out_scores_ = candidates[best], found[best]

    def _candidates(self, n_items: int) -> list[int]:
        given = np.atleast_1d(KS if self.k is None else self.k)
        if self.k is not None and max(given) > n_items - 1:
            warnings.warn(
                f"knn: {int(max(given))} neighbours are more than there are; "
                f"a row has {n_items - 1} others, and those vote.",
                FewerThanAsked,
                stacklevel=4,
            )
        return sorted({min(int(k), n_items - 1) for k in given})

    def _asked(self, X: Array, ks: list[int], units: Array | None = None) -> list[Float64]:
        """Return outputs for each k; with `units`, X is the training rows, each without its own."""
        parts = []
        for start in range(0, len(X), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            similar = _of_length_one(X[rows]) @ self.rows_.T
            if units is not None:
                similar[units[rows][:, None] == units] = -np.inf
            near, how_near = _nearest(similar, max(ks))
            with np.errstate(invalid="ignore"):  # a row without any neighbour is NaN, on purpose
                weights = np.exp((how_near - how_near[:, :1]).astype(np.float64) / TEMPERATURE)
            parts.append([self._said(near[:, :k], weights[:, :k]) for k in ks])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _check_restored(self) -> None:
        super()._check_restored()
        is_sound = isinstance(self.k_, int) and 0 < self.k_ < len(self.rows_)
        if not is_sound or self.rows_.shape[1:] != (self.n_features_in_,):
            raise ValueError(f"{self.k_} neighbours among rows {self.rows_.shape}")


class KNNHead(Neighbours, Classifier):
    """The nearest rows vote for their classes: a head of classes; see `Neighbours`.

    Attributes
    ----------
    columns_ : int array of shape (n_items,)
        Number of each row's class.

    Notes
    -----
    Outputs are logarithms of the shares of the vote, with one neighbour more that votes for all
    classes alike, so that no class is impossible.

    References
    ----------
    The vote is that of DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features without
    Supervision", 2023), ``dinov2/eval/knn.py``. There the weights of k neighbours are shares of a
    softmax over 200; dividing them by their sum changes no decision.
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Keep training rows; k and temperature come from rows left out one by one."""
        X, truth = self._rows_to_fit(X, y, groups)
        self.columns_ = truth
        self._choose(X, groups, lambda votes: -int((votes.argmax(axis=1) == truth).sum()))
        self._calibrate(truth)
        return self

    def _said(self, near: Array, weights: Float64) -> Float64:
        votes = np.zeros((len(near), len(self.classes_)))
        places = np.repeat(np.arange(len(near)), near.shape[1])
        np.add.at(votes, (places, self.columns_[near].ravel()), weights.ravel())
        shares, k = votes / votes.sum(axis=1, keepdims=True), near.shape[1]
        return np.asarray(np.log((k * shares + 1 / len(self.classes_)) / (k + 1)))

    def _check_restored(self) -> None:
        super()._check_restored()
        is_of_rows = self.columns_.shape == (len(self.rows_),)
        if not is_of_rows or not 0 <= self.columns_.min() <= self.columns_.max() < self.n_outputs:
            raise ValueError(f"{len(self.columns_)} labels for rows {self.rows_.shape}")


class KNNRegressor(Neighbours, Regressor):
    """The weighted mean of the nearest rows' values; see `Neighbours`.

    Attributes
    ----------
    values_ : float64 array of shape (n_items, n_values)

    References
    ----------
    `sklearn.neighbors.KNeighborsRegressor` with the cosine and the same weights, to 1e-10 in
    float64.
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Keep training rows; k comes from rows left out one by one, by their squared error."""
        X, self.values_ = self._rows_to_fit(X, y, groups)
        self._choose(X, groups, lambda found: relative_error(found, self.values_))
        return self

    def _said(self, near: Array, weights: Float64) -> Float64:
        shares = weights / weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("nk,nkv->nv", shares, self.values_[near]))

    def _check_restored(self) -> None:
        super()._check_restored()
        if self.values_.shape != (len(self.rows_), self.n_values_):
            raise ValueError(f"values {self.values_.shape} for rows {self.rows_.shape}")


def _of_length_one(X: Array) -> Array:
    """Return rows divided by their length; a row of zeros stays."""
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(lengths > 0, lengths, 1.0).astype(X.dtype))


def _nearest(similar: Array, k: int) -> tuple[Array, Array]:
    """Return the k most similar of each row, first the most; the earlier of equals."""
    places = np.sort(np.argpartition(-similar, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(similar, places, axis=1), axis=1, kind="stable")
    places = np.take_along_axis(places, order, axis=1)
    return places, np.take_along_axis(similar, places, axis=1)
