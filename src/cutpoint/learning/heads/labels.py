"""Heads that tell any number of labels of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.special

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import Head, check_groups
from cutpoint.learning.metrics import best_threshold, fit_sigmoid
from cutpoint.learning.shared.steps import Affine, Sigmoid, Steps, scaling


class Labeller(Head):
    """A head of labels: `fit` takes zeros and ones, (n_items, n_labels).

    Attributes
    ----------
    labels_ : array of shape (n_labels,)
        Names, or numbers where none were given.
    slopes_, offsets_ : float64 array of shape (n_labels,)
        The probability of a label is ``sigmoid(slope · score + offset)``; fitted on
        `held_out_scores_`. A slope of 0: its scores of rows left out tell nothing of it.
    thresholds_ : float64 array of shape (n_labels,)
        Probability from which a row has the label: that of the largest F1 on rows left out.
    """

    target: ClassVar[str] = "labels"
    labels_: Array
    slopes_: Float64
    offsets_: Float64
    thresholds_: Float64

    @property
    def n_outputs(self) -> int:
        return len(self.labels_)

    def predict(self, X: Any) -> Array:
        """Return zeros and ones, (n_items, n_labels)."""
        return np.asarray(self.predict_proba(X) >= self.thresholds_, dtype=np.int64)

    def predict_proba(self, X: Any) -> Float64:
        """Return the calibrated probability of each label, (n_items, n_labels)."""
        return self._probabilities(self.outputs(X))

    def closing_steps(self) -> Steps:
        return Affine(scaling(self.slopes_), self.offsets_), Sigmoid()

    def _probabilities(self, scores: Float64) -> Float64:
        return np.asarray(scipy.special.expit(scores * self.slopes_ + self.offsets_))

    def _rows_to_fit(
        self, X: Any, y: Any, groups: Any, names: Sequence[Any] | None
    ) -> tuple[Array, Float64]:
        """Return sound rows and the zeros and ones of each label."""
        self.check_parameters()
        X, y = self._validated(X, y, ensure_min_samples=2, multi_output=True)
        check_groups(groups, len(y))
        truth = _zeros_and_ones(y, type(self).__name__)
        self.labels_ = np.arange(truth.shape[1]) if names is None else np.array(names)
        if self.labels_.shape != truth.shape[1:]:
            raise ShapeError(
                f"{self.labels_.size} names do not fit {truth.shape[1]} labels.",
                f"y has shape {truth.shape}.",
                "One name per column of y.",
                "Look at it with:  y.shape",
            )
        self._check_each_differs(truth)
        return X, truth

    def _check_each_differs(self, truth: Float64) -> None:
        constant = np.flatnonzero(np.ptp(truth, axis=0) == 0)
        if len(constant):
            first = constant[0]
            rows = "every row" if truth[0, first] else "no row"
            raise UsageError(
                f"Label {self.labels_[first]!s} can't be learned: {rows} has it.",
                f"{len(constant)} of {truth.shape[1]} labels are so in {len(truth)} rows.",
                "Labels that some rows have and others have not.",
                "Look at them with:  y.mean(axis=0)",
            )

    def _calibrate(self, truth: Float64) -> None:
        """Fit the sigmoids and thresholds on the rows that were left out."""
        columns = range(truth.shape[1])
        found = [fit_sigmoid(self.held_out_scores_[:, c], truth[:, c]) for c in columns]
        self.slopes_, self.offsets_ = np.array(found).T.copy()
        likely = self._probabilities(self.held_out_scores_)
        self.thresholds_ = np.array([best_threshold(likely[:, c], truth[:, c]) for c in columns])

    def _check_restored(self) -> None:
        self.labels_ = np.asarray(self.labels_)
        super()._check_restored()
        for each in (self.slopes_, self.offsets_, self.thresholds_):
            if each.shape != self.labels_.shape:
                raise ValueError(f"{self.n_outputs} labels for {each.shape} thresholds")


def _zeros_and_ones(y: Array, name: str) -> Float64:
    """Return y as float64, (n_items, n_labels)."""
    if y.ndim != 2 or y.dtype.kind not in "buif" or not np.isin(y, (0, 1)).all():
        raise UsageError(
            f"{name} can't be fitted: y is no matrix of zeros and ones.",
            f"It has shape {y.shape} and type {y.dtype}.",
            "A column per label: 1 where a row has it, 0 elsewhere.",
            "Type, for example:  sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y)",
        )
    return y.astype(np.float64)
