"""Nearest neighbours that vote by their similarity."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np

from cutpoint.base.errors import FewerThanAsked, UsageError
from cutpoint.learning.heads.base import Head
from cutpoint.base.types import Array, Float64

KS = (10, 20, 100, 200)  # DINOv2's
TEMPERATURE = 0.07  # DINOv2's
_BLOCK_ROWS = 1024  # compared at a time


class KNNHead(Head):
    """The k most similar training rows vote, each weighted by exp(similarity / 0.07).

    Parameters
    ----------
    k : int or sequence of int, optional
        Neighbours, or candidates; 10, 20, 100 and 200 by default, as far as there are rows. The
        one with the most rows right when each is left out is taken; the first of equals.

    Attributes
    ----------
    k_ : int
    rows_ : array of shape (n_items, n_features)
        Training rows of length 1, in the type they came in.
    columns_ : int array of shape (n_items,)
        Number of each row's class.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        By all rows but the row's own group.

    Notes
    -----
    Similarity is the cosine. Scores are logarithms of the shares of the vote, with one neighbour
    more that votes for all classes alike, so that no class is impossible.

    References
    ----------
    The vote is that of DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features without
    Supervision", 2023), ``dinov2/eval/knn.py``. There the weights of k neighbours are shares of a
    softmax over 200; dividing them by their sum changes no decision.
    """

    kind = "knn"

    def __init__(self, k: Any = None) -> None:
        self.k = k

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Keep training rows; k and temperature come from rows left out one by one."""
        X, truth = self._rows_to_fit(X, y, groups)
        self.rows_, self.columns_ = _of_length_one(X), truth
        units = np.arange(len(X)) if groups is None else np.unique(groups, return_inverse=True)[1]
        candidates = self._candidates(len(X))
        found = self._votes(X, candidates, units)
        right = [int((each.argmax(axis=1) == truth).sum()) for each in found]
        best = int(np.argmax(right))
        self.k_, self.held_out_scores_ = candidates[best], found[best]
        self._calibrate(truth)
        return self

    @property
    def chosen(self) -> dict[str, Any]:
        return {"k": self.k_}

    def class_scores(self, X: Any) -> Float64:
        """Return logarithms of the vote, (n_items, n_classes)."""
        return self._votes(self._rows_to_score(X), [self.k_])[0]

    def check_parameters(self) -> None:
        """Raise `UsageError` unless neighbours can be counted."""
        super().check_parameters()
        given = np.atleast_1d(KS if self.k is None else self.k)
        is_number = given.dtype.kind in "iuf" and len(given)
        if not is_number or not (np.isfinite(given) & (given >= 1) & (given % 1 == 0)).all():
            raise UsageError(
                f"{self.k} neighbours were asked for.",
                "They can't be counted.",
                "A whole number, 1 or more, several of them, or none.",
                'Type, for example:  --head "knn(k=20)"',
            )

    def _candidates(self, n_items: int) -> list[int]:
        given = np.atleast_1d(KS if self.k is None else self.k)
        if self.k is not None and max(given) > n_items - 1:
            warnings.warn(
                f"knn: {int(max(given))} neighbours were asked for; "
                f"a row has {n_items - 1} others, and those vote.",
                FewerThanAsked,
                stacklevel=3,
            )
        return sorted({min(int(k), n_items - 1) for k in given})

    def _votes(self, X: Array, ks: list[int], units: Array | None = None) -> list[Float64]:
        """Return scores for each k; with `units`, X is the training rows, each without its own."""
        parts = []
        for start in range(0, len(X), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            similar = _of_length_one(X[rows]) @ self.rows_.T
            if units is not None:
                similar[units[rows][:, None] == units] = -np.inf
            parts.append([self._vote(*_nearest(similar, max(ks)), k) for k in ks])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def _vote(self, nearest: Array, similar: Array, k: int) -> Float64:
        first = similar[:, :k].astype(np.float64)
        with np.errstate(invalid="ignore"):  # a row without any neighbour is NaN, on purpose
            weights = np.exp((first - first[:, :1]) / TEMPERATURE)
        votes = np.zeros((len(first), len(self.classes_)))
        places = np.repeat(np.arange(len(first)), first.shape[1])
        np.add.at(votes, (places, self.columns_[nearest[:, :k]].ravel()), weights.ravel())
        shares = votes / votes.sum(axis=1, keepdims=True)
        return np.asarray(np.log((k * shares + 1 / len(self.classes_)) / (k + 1)))

    def _check_restored(self) -> None:
        if (
            self.columns_.ndim != 1
            or self.rows_.shape != (len(self.columns_), self.n_features_in_)
            or not 0 <= self.columns_.min() <= self.columns_.max() < len(self.classes_)
            or not isinstance(self.k_, int)
            or not 0 < self.k_ < len(self.rows_)
        ):
            raise ValueError(f"{len(self.columns_)} labels for rows {self.rows_.shape}")


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
