"""Linear heads whose weights come from elsewhere: from a network that was fine-tuned with them."""

from __future__ import annotations

from typing import Any, NoReturn, Self

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import LinearHead
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.heads.labels import Labeller
from cutpoint.learning.heads.values import Regressor


class _Given(LinearHead):
    """What the three share; `of` makes one."""

    kind = "linear"

    def fit(self, X: Any, y: Any, groups: Any = None) -> NoReturn:
        """Raise `UsageError`: it learns together with a network, or not at all."""
        raise UsageError(
            "The head linear is not fitted by itself.",
            "Its weights are those of the last layer of a network that was fine-tuned.",
            "Another head, such as ridge or logistic.",
            "Type, for example:  cutpoint.heads.RidgeHead().fit(X, y)",
        )

    def _take(self, W: Float64, b: Float64, held_out: Float64) -> None:
        self.coef_, self.intercept_ = np.array(W.T, np.float64), np.array(b, np.float64)
        self.n_features_in_ = len(W)
        self.held_out_scores_ = held_out


class LinearClassifier(_Given, Classifier):
    """A linear head of classes.

    Attributes
    ----------
    coef_, intercept_, temperature_
        As in `LinearHead` and `Classifier`.
    """

    @classmethod
    def of(cls, W: Float64, b: Float64, like: Classifier, held_out: Float64, truth: Array) -> Self:
        """Return the head that gives ``X @ W + b``; its temperature is fitted on rows left out.

        Parameters
        ----------
        W : float64 array of shape (n_features, n_classes)
        like : Classifier
            Knows the same classes.
        held_out : float64 array of shape (n_items, n_classes)
            Scores of rows that were left out; NaN where a row never was.
        truth : int array of shape (n_items,)
        """
        made = cls()
        made._take(W, b, held_out)
        made.classes_ = like.classes_
        made._calibrate(truth)
        return made


class LinearLabeller(_Given, Labeller):
    """A linear head of labels; see `LinearClassifier`."""

    @classmethod
    def of(cls, W: Float64, b: Float64, like: Labeller, held_out: Float64, truth: Array) -> Self:
        """Return the head; slopes, offsets and thresholds are fitted on rows left out."""
        made = cls()
        judged = np.isfinite(held_out).all(axis=1)
        made._take(W, b, held_out[judged])
        made.labels_ = like.labels_
        made._calibrate(truth[judged])
        made.held_out_scores_ = held_out
        return made


class LinearRegressor(_Given, Regressor):
    """A linear head of values; see `LinearClassifier`."""

    @classmethod
    def of(cls, W: Float64, b: Float64, like: Regressor, held_out: Float64, truth: Array) -> Self:
        """Return the head."""
        made = cls()
        made._take(W, b, held_out)
        made.n_values_, made.is_flat_ = W.shape[1], like.is_flat_
        return made


GIVEN: dict[str, type[Any]] = {
    "classes": LinearClassifier,
    "labels": LinearLabeller,
    "values": LinearRegressor,
}
"""What is predicted → the linear head of it."""
