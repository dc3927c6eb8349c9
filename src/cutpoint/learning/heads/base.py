"""What all heads share: fitted on training rows, judged on rows left out, saved.

A head gives one class per row (`classes.Classifier`), any number of labels (`labels.Labeller`)
or values (`values.Regressor`); what is computed is the same for all three where it can be.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from cutpoint.base.state import Stateful
from cutpoint.base.types import Array, Float64, check_finite
from cutpoint.learning.gram.leave_out import members_of
from cutpoint.learning.shared.limits import Limit, check_parameters
from cutpoint.learning.shared.steps import Leaving, Steps

FLOATS = (np.float64, np.float32)  # others become the first


class Head(Leaving, Stateful, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A small model on features of a frozen network.

    Attributes
    ----------
    kind : str
        Its name in saved files and after ``--head``.
    target : {"classes", "labels", "values"}
        What it predicts per row: one class, any number of labels, or numbers.
    limits : mapping of str to Limit
        What its parameters may be.
    takes : {"vectors", "maps"}
        Whether X is (n_items, n_features), or stored activations with their places.
    held_out_scores_ : float64 array of shape (n_items, n_outputs)
        What `outputs` gives of each training row by a model fitted without it, NaN where there is
        none. Only after `fit`; it is not saved.
    """

    kind: ClassVar[str]
    target: ClassVar[str]
    takes: ClassVar[str] = "vectors"
    limits: ClassVar[Mapping[str, Limit]] = {}
    _unsaved: ClassVar[tuple[str, ...]] = ("held_out_scores_",)
    n_features_in_: int
    held_out_scores_: Float64

    @abstractmethod
    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit on training rows.

        Parameters
        ----------
        X : array of shape (n_items, n_features)
        y : array of shape (n_items,) or (n_items, n_outputs)
            What is to be predicted for each row.
        groups : array of shape (n_items,), optional
            Rows of one group are left out together.

        Raises
        ------
        UsageError
            If there is nothing to tell apart, all rows are of one group, or a parameter can't be.
        ShapeError
            If groups are not one per row.
        DataError
            If X holds NaN or infinity.
        """

    @abstractmethod
    def outputs(self, X: Any) -> Float64:
        """Return (n_items, n_outputs): scores before they become probabilities, or values."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many classes, labels or values it predicts."""

    def closing_steps(self) -> Steps:
        """Return what makes probabilities of `outputs`; nothing for values."""
        return ()

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen on rows left out, by name; JSON types."""
        return {}

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what `from_state` makes the same head of: JSON types, and arrays."""
        fields, arrays = super().to_state()
        # Heads of classes are saved as they were before there were others.
        return fields if self.target == "classes" else {**fields, "target": self.target}, arrays

    @classmethod
    def from_state(cls, fields: Any, arrays: Any) -> Self:
        """Return the fitted head that `to_state` described."""
        head = super().from_state(fields, arrays)
        head._check_restored()
        return head

    def _check_restored(self) -> None:
        """Raise `ValueError` unless what was learned fits together."""

    def check_parameters(self) -> None:
        """Raise `UsageError` for the first parameter that can't be."""
        check_parameters(self, "head")

    def _rows_to_score(self, X: Any) -> Array:
        check_is_fitted(self)
        rows: Array = self._validated(X, reset=False)
        return rows

    def _validated(self, *given: Any, **how: Any) -> Any:
        found = validate_data(self, *given, dtype=FLOATS, ensure_all_finite=False, **how)
        rows = found[0] if len(given) > 1 else found
        check_finite(rows, f"X of {type(self).__name__}")
        return found


def check_groups(groups: Any, n_items: int) -> None:
    """Raise as ridge does unless groups are one per row, and two or more."""
    if groups is not None:
        members_of(groups, np.ones(n_items))


class LinearHead(Head):
    """A head whose outputs are ``X @ coef_.T + intercept_``.

    Attributes
    ----------
    coef_ : float64 array of shape (n_outputs, n_features)
    intercept_ : float64 array of shape (n_outputs,)
    """

    coef_: Float64
    intercept_: Float64

    def outputs(self, X: Any) -> Float64:
        """Return linear scores, (n_items, n_outputs)."""
        X = self._rows_to_score(X)
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float64)

    def affine(self) -> tuple[Any, Float64]:
        return self.coef_.T, self.intercept_

    def _check_restored(self) -> None:
        super()._check_restored()
        shape = (self.n_outputs, self.n_features_in_)
        if self.coef_.shape != shape or self.intercept_.shape != shape[:1]:
            raise ValueError(f"{shape[0]} outputs for weights {self.coef_.shape}")
