"""The nearest class mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.shared.folds import units_of
from cutpoint.learning.shared.limits import Limit, one_of
from cutpoint.learning.shared.steps import Affine, Steps, UnitLength


class CentroidHead(Classifier):
    """A row belongs to the class whose mean is nearest.

    Parameters
    ----------
    metric : {"cosine", "euclidean"}
        Cosine: rows are brought to length 1 first, and scores are similarities to the means.
        Euclidean: scores are negative squared distances over the mean one to a row's own mean.

    Attributes
    ----------
    centroids_ : float64 array of shape (n_classes, n_features)
    scale_ : float
        What distances are divided by; 1 for cosine.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        By means that the row's own group took no part in; exact, as a mean is a sum.

    References
    ----------
    Euclidean, it predicts as `sklearn.neighbors.NearestCentroid`.
    """

    kind = "centroid"
    limits: ClassVar[Mapping[str, Limit]] = {"metric": one_of("cosine", "euclidean")}

    def __init__(self, metric: str = "cosine") -> None:
        self.metric = metric

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Take the means of training rows; the temperature comes from rows left out."""
        X, truth = self._rows_to_fit(X, y, groups)
        rows = self._prepared(X)
        sums = np.stack([rows[truth == column].sum(axis=0) for column in range(len(self.classes_))])
        counts = np.bincount(truth)
        self.centroids_ = sums / counts[:, None]
        spread = ((rows - self.centroids_[truth]) ** 2).sum(axis=1).mean()
        self.scale_ = float(spread) or 1.0 if self.metric == "euclidean" else 1.0
        self.held_out_scores_ = self._left_out(rows, truth, groups, sums, counts)
        self._calibrate(truth)
        return self

    def outputs(self, X: Any) -> Float64:
        """Return similarities or negative distances, (n_items, n_classes)."""
        return self._scores(self._prepared(self._rows_to_score(X)), self.centroids_)

    def affine(self) -> tuple[Any, Float64]:
        if self.metric == "cosine":
            return super().affine()
        squares = (self.centroids_**2).sum(axis=1)
        return 2 * self.centroids_.T / self.scale_, -squares / self.scale_

    def steps(self) -> Steps:
        if self.metric == "euclidean":
            return super().steps()
        similar = Affine(_of_length_one(self.centroids_).T, np.zeros(len(self.centroids_)))
        return UnitLength((self.n_features_in_,)), similar

    def _prepared(self, X: Array) -> Float64:
        rows = X.astype(np.float64)
        return _of_length_one(rows) if self.metric == "cosine" else rows

    def _scores(self, rows: Float64, centroids: Float64) -> Float64:
        if self.metric == "cosine":
            return np.asarray(rows @ _of_length_one(centroids).T)
        # Less the row's own square, which is the same for every class.
        squares = (centroids**2).sum(axis=1)
        return np.asarray((2 * rows @ centroids.T - squares) / self.scale_)

    def _left_out(
        self, rows: Float64, truth: Array, groups: Any, sums: Float64, counts: Array
    ) -> Float64:
        """Return scores without each row's own group: only the means of its classes move."""
        scores = self._scores(rows, self.centroids_)
        units = units_of(len(rows), groups)
        order = np.argsort(units, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(units[order])) + 1):
            for column in np.unique(truth[members]):
                own = members[truth[members] == column]
                left = counts[column] - len(own)
                mean = (sums[column] - rows[own].sum(axis=0)) / left if left else np.nan * rows[0]
                scores[members, column] = self._scores(rows[members], mean[None])[:, 0]
        return scores

    def _check_restored(self) -> None:
        super()._check_restored()
        if self.centroids_.shape != (len(self.classes_), self.n_features_in_):
            raise ValueError(f"{len(self.classes_)} classes for means {self.centroids_.shape}")


def _of_length_one(rows: Float64) -> Float64:
    """Return rows divided by their length; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths == 0, 1.0, lengths))
