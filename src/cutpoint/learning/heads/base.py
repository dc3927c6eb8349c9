"""The one face of all heads: fitted on training rows, calibrated on rows left out, saved."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from cutpoint.base.errors import UsageError
from cutpoint.base.state import Stateful
from cutpoint.base.types import Array, Float64, check_finite
from cutpoint.learning.gram.leave_out import members_of
from cutpoint.learning.metrics import fit_temperature, softmax
from cutpoint.learning.shared.limits import Limit, check_parameters

FLOATS = (np.float64, np.float32)  # others become the first


class Head(Stateful, ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A small classifier on features of a frozen network.

    Attributes
    ----------
    kind : str
        Its name in saved files and after ``--head``.
    limits : mapping of str to Limit
        What its parameters may be.
    takes : {"vectors", "maps"}
        Whether X is (n_items, n_features), or stored activations with their places.
    classes_ : array of shape (n_classes,)
    temperature_ : float
        By which scores are divided before the softmax; fitted on `held_out_scores_`.
    held_out_scores_ : float64 array of shape (n_items, n_classes)
        Scores of each training row by a model fitted without it, NaN where there is none. Only
        after `fit`; it is not saved.
    """

    kind: ClassVar[str]
    takes: ClassVar[str] = "vectors"
    limits: ClassVar[Mapping[str, Limit]] = {}
    _unsaved: ClassVar[tuple[str, ...]] = ("held_out_scores_",)
    classes_: Array
    temperature_: float
    n_features_in_: int
    held_out_scores_: Float64

    @abstractmethod
    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows.

        Parameters
        ----------
        X : array of shape (n_items, n_features)
        y : array of shape (n_items,)
            Class labels, two or more.
        groups : array of shape (n_items,), optional
            Rows of one group are left out together.

        Raises
        ------
        UsageError
            If all labels are of one class, all rows of one group, or a parameter can't be.
        ShapeError
            If groups are not one a row.
        DataError
            If X holds NaN or infinity.
        """

    @abstractmethod
    def class_scores(self, X: Any) -> Float64:
        """Return scores before the softmax, (n_items, n_classes)."""

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen on rows left out, by name; JSON types."""
        return {}

    def decision_function(self, X: Any) -> Float64:
        """Return scores in scikit-learn's shape: (n_items,) for two classes."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> Array:
        """Return the class of each row."""
        columns = self.class_scores(X).argmax(axis=1)
        labels: Array = self.classes_[columns]
        return labels

    def predict_proba(self, X: Any) -> Float64:
        """Return calibrated probabilities, (n_items, n_classes)."""
        scores = self.class_scores(X)
        return softmax(scores, self.temperature_)

    @classmethod
    def from_state(cls, fields: Any, arrays: Any) -> Self:
        """Return the fitted head that `to_state` described."""
        head = super().from_state(fields, arrays)
        head.classes_ = np.asarray(head.classes_)
        head._check_restored()
        return head

    def _check_restored(self) -> None:
        """Raise `ValueError` unless what was learned fits together."""

    def _calibrate(self, truth: Array) -> None:
        """Fit the temperature on the rows that were left out; 1 if none was."""
        judged = np.isfinite(self.held_out_scores_).all(axis=1)
        scores = self.held_out_scores_[judged]
        self.temperature_ = fit_temperature(scores, truth[judged]) if len(scores) else 1.0

    def _rows_to_fit(self, X: Any, y: Any, groups: Any = None) -> tuple[Array, Array]:
        """Return sound rows and the number of each row's class."""
        self.check_parameters()
        X, y = self._validated(X, y, ensure_min_samples=2)
        check_classification_targets(y)
        truth = self._learn_classes(y)
        check_groups(groups, len(truth))
        return X, truth

    def _rows_to_score(self, X: Any) -> Array:
        check_is_fitted(self)
        rows: Array = self._validated(X, reset=False)
        return rows

    def check_parameters(self) -> None:
        """Raise `UsageError` for the first parameter that can't be."""
        check_parameters(self, '--head "{}"')

    def _learn_classes(self, y: Array) -> Array:
        """Set `classes_`, two or more; return the number of each row's class."""
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"{type(self).__name__} was to be fitted.",
                f"All {len(y)} rows are of 1 class: {self.classes_[0]!r}.",
                "Labels of two classes or more.",
                "Look at them with:  numpy.unique(y)",
            )
        return np.asarray(truth)

    def _validated(self, *given: Any, **how: Any) -> Any:
        found = validate_data(self, *given, dtype=FLOATS, ensure_all_finite=False, **how)
        rows = found[0] if len(given) > 1 else found
        check_finite(rows, f"{type(self).__name__} was given features of {len(rows)} items.")
        return found


def check_groups(groups: Any, n_items: int) -> None:
    """Raise as ridge does unless groups are one a row, and two or more."""
    if groups is not None:
        members_of(groups, np.ones(n_items))


class LinearHead(Head):
    """A head whose scores are ``X @ coef_.T + intercept_``.

    Attributes
    ----------
    coef_ : float64 array of shape (n_classes, n_features)
    intercept_ : float64 array of shape (n_classes,)
    """

    coef_: Float64
    intercept_: Float64

    def class_scores(self, X: Any) -> Float64:
        """Return linear scores, (n_items, n_classes)."""
        X = self._rows_to_score(X)
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float64)

    def _check_restored(self) -> None:
        shape = (len(self.classes_), self.n_features_in_)
        if self.coef_.shape != shape or self.intercept_.shape != shape[:1]:
            raise ValueError(f"{shape[0]} classes for weights {self.coef_.shape}")
