"""Heads that tell one class of each row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import Head, check_groups
from cutpoint.learning.metrics import fit_temperature, softmax
from cutpoint.learning.shared.steps import Affine, Softmax, Steps, scaling


class Classifier(ClassifierMixin, Head):  # type: ignore[misc]  # sklearn is untyped
    """A head of classes: `fit` takes one label per row, of two classes or more.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    temperature_ : float
        By which scores are divided before the softmax; fitted on `held_out_scores_`.
    """

    target: ClassVar[str] = "classes"
    classes_: Array
    temperature_: float

    @property
    def n_outputs(self) -> int:
        return len(self.classes_)

    def decision_function(self, X: Any) -> Float64:
        """Return scores in scikit-learn's shape: (n_items,) for two classes."""
        scores = self.outputs(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> Array:
        """Return the class of each row."""
        columns = self.outputs(X).argmax(axis=1)
        labels: Array = self.classes_[columns]
        return labels

    def predict_proba(self, X: Any) -> Float64:
        """Return calibrated probabilities, (n_items, n_classes)."""
        scores = self.outputs(X)
        return softmax(scores, self.temperature_)

    def closing_steps(self) -> Steps:
        width = self.n_outputs
        return Affine(scaling(np.full(width, 1 / self.temperature_)), np.zeros(width)), Softmax()

    def _check_restored(self) -> None:
        self.classes_ = np.asarray(self.classes_)
        super()._check_restored()

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

    def _learn_classes(self, y: Array) -> Array:
        """Set `classes_`, two or more; return the number of each row's class."""
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"{type(self).__name__} can't be fitted: there is 1 class.",
                f"All {len(y)} rows are of 1 class: {self.classes_[0]!r}.",
                "Labels of two classes or more.",
                "Look at them with:  numpy.unique(y)",
            )
        return np.asarray(truth)
