"""Heads that tell numbers: one value of each row, or several."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import Head, check_groups


class Regressor(RegressorMixin, MultiOutputMixin, Head):  # type: ignore[misc]  # sklearn
    """A head of values: `fit` takes (n_items,) or (n_items, n_values) numbers.

    Where several candidates are compared, or values learned together, each value counts by its
    deviation: a length in millimetres decides no more than one in metres.

    Attributes
    ----------
    n_values_ : int
    is_flat_ : bool
        Whether `predict` gives (n_items,), as `fit` was given.
    """

    target: ClassVar[str] = "values"
    n_values_: int
    is_flat_: bool

    @property
    def n_outputs(self) -> int:
        return self.n_values_

    def predict(self, X: Any) -> Float64:
        """Return the values of each row, in the shape `fit` was given."""
        values = self.outputs(X)
        return values[:, 0] if self.is_flat_ else values

    def _rows_to_fit(self, X: Any, y: Any, groups: Any = None) -> tuple[Array, Float64]:
        """Return sound rows and their values, (n_items, n_values)."""
        self.check_parameters()
        X, y = self._validated(X, y, ensure_min_samples=2, multi_output=True, y_numeric=True)
        check_groups(groups, len(y))
        self.is_flat_ = y.ndim == 1
        values = y.reshape(len(y), -1).astype(np.float64)
        self.n_values_ = values.shape[1]
        constant = np.flatnonzero(np.ptp(values, axis=0) == 0)
        if len(constant):
            raise UsageError(
                f"{type(self).__name__} can't be fitted: value {constant[0]} is the same in all "
                f"{len(values)} rows.",
                f"It is {values[0, constant[0]]:g}; {len(constant)} of {self.n_values_} are so.",
                "Values that differ.",
                "Look at them with:  numpy.std(y, axis=0)",
            )
        return X, values


def relative_error(values: Float64, truth: Float64) -> float:
    """Return the mean squared error as a share of the variance, mean over values: 1 − R²."""
    errors = np.square(values - truth).mean(axis=0)
    return float((errors / truth.var(axis=0)).mean())
