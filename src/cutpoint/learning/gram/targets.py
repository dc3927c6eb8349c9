"""What is to be predicted, as the matrix ridge is fitted to: classes, labels or values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.ridge import one_hot

# Halfway between the targets 0 and 1.
THRESHOLD = 0.5


@dataclass(frozen=True)
class Targets:
    """Targets of all rows; make them with `of_classes`, `of_labels` or `of_values`.

    Attributes
    ----------
    kind : {"classes", "labels", "values"}
        One class per item; any number of labels per item; numbers (regression).
    Y : float64 array of shape (n_items, n_targets)
        Zeros and ones for classes and labels.
    truth : array
        The class number of each item, (n_items,); Y itself for labels and values.
    names : tuple of str
        One per column of Y.
    """

    kind: Literal["classes", "labels", "values"]
    Y: Float64
    truth: Array
    names: tuple[str, ...]

    @classmethod
    def of_classes(
        cls, labels: Sequence[Any] | Array, classes: Sequence[Any] | Array | None = None
    ) -> Targets:
        """Return targets of one class per item.

        Parameters
        ----------
        labels : sequence of length n_items
            Text or numbers; none missing, two classes or more.
        classes : sequence, optional
            All classes in order; by default those seen, sorted.

        Raises
        ------
        DataError
        """
        found = np.asarray(labels)
        _check_complete("classes", found)
        found = found.astype(str) if found.dtype == object else found
        known = np.unique(found) if classes is None else np.asarray(classes)
        strange = np.setdiff1d(found, known)
        if found.ndim != 1 or len(np.unique(found)) < 2 or len(strange):
            raise DataError(
                f"The labels hold unknown classes: {', '.join(map(str, strange[:3]))}."
                if len(strange)
                else "The labels are not one per item, of two classes or more.",
                f"They have shape {found.shape} and {_counted(found)}.",
                "One label per item, of two classes or more.",
                "Look at them with:  numpy.unique(labels)",
            )
        Y = one_hot(found, known)
        return cls("classes", Y, Y.argmax(axis=1), tuple(map(str, known)))

    @classmethod
    def of_labels(cls, matrix: Array, names: Sequence[str] | None = None) -> Targets:
        """Return targets of several labels per item.

        Parameters
        ----------
        matrix : array of shape (n_items, n_labels)
            1 where the item has the label, 0 elsewhere; each label is there and missing at least
            once.
        """
        Y = _columns("labels", matrix)
        if not np.isin(Y, (0, 1)).all() or np.ptp(Y, axis=0).min() == 0:
            raise DataError(
                "The matrix of labels is not made of columns with both zeros and ones.",
                f"{_n_constant(Y)} of {Y.shape[1]} columns are constant; values run from "
                f"{Y.min()} to {Y.max()}.",
                "Zeros and ones, both in each column.",
                "Look at them with:  matrix.mean(axis=0)",
            )
        return cls("labels", Y, Y, _names(names, Y, "label"))

    @classmethod
    def of_values(cls, values: Array, names: Sequence[str] | None = None) -> Targets:
        """Return targets of regression.

        Parameters
        ----------
        values : array of shape (n_items,) or (n_items, n_targets)
            Finite, none of the columns constant.
        """
        found = np.asarray(values)
        Y = _columns("values", found[:, None] if found.ndim == 1 else found)
        if np.ptp(Y, axis=0).min() == 0:
            raise DataError(
                f"{_n_constant(Y)} of {Y.shape[1]} columns are constant and can't be learned.",
                f"The values have {len(Y)} rows.",
                "Values that differ.",
                "Look at them with:  values.std(axis=0)",
            )
        return cls("values", Y, Y, _names(names, Y, "value"))

    def right(self, scores: Array) -> Array | None:
        """Say how right scores (n_items, n_targets) are, item by item.

        Returns
        -------
        right : array of shape (n_items,), or None
            Bool for classes: whether the largest score is the true class's. Float for labels: the
            share that is on its side of 0.5. None for values, which are never simply right.
        """
        if self.kind == "classes":
            return np.asarray(scores.argmax(axis=1) == self.truth)
        if self.kind == "labels":
            return np.asarray(((scores >= THRESHOLD) == (self.truth == 1)).mean(axis=1))
        return None

    def score(self, scores: Array) -> float:
        """Return accuracy of classes, mean accuracy of labels, or mean R² of values."""
        right = self.right(scores)
        if right is not None:
            return float(right.mean())
        residual = np.square(self.Y - scores).sum(axis=0)
        spread = np.square(self.Y - self.Y.mean(axis=0)).sum(axis=0)
        return float((1 - residual / spread).mean())

    def balanced_weights(self) -> Float64:
        """Return weights of rows, of mean 1, with which all classes seen count equally."""
        if self.kind != "classes":
            raise UsageError(
                f"Targets that are {self.kind} have no classes to balance.",
                "Weights make rows of rare classes count as much as those of common ones.",
                "Targets of one class per item.",
                "Type:  Targets.of_classes(labels)",
            )
        counts = np.bincount(self.truth)
        n_seen = np.count_nonzero(counts)
        return np.asarray(len(self.truth) / (n_seen * counts[self.truth]), dtype=np.float64)


def prior_shift(probabilities: Array, priors_train: Array, priors_new: Array) -> Float64:
    """Return the probabilities of the same items where classes are as common as `priors_new`.

    By Bayes' rule, if the classes look alike in both places: p · new / train, made to sum to 1.

    Parameters
    ----------
    probabilities : array of shape (n_items, n_classes)
        ≥ 0, rows sum to 1; scores of a ridge are no probabilities.
    priors_train, priors_new : array of shape (n_classes,)
        How common each class was and will be, 0–1; the first > 0.
    """
    old, new = np.asarray(priors_train, dtype=np.float64), np.asarray(priors_new, dtype=np.float64)
    if not ((old > 0).all() and (new >= 0).all() and new.any() and (probabilities >= 0).all()):
        raise UsageError(
            "A probability or a class prior is out of range.",
            f"Smallest: probability {np.min(probabilities)}, prior in training {old.min()}, "
            f"new prior {new.min()}.",
            "Probabilities ≥ 0, priors in training > 0, new priors ≥ 0 and not all 0.",
            "Type, for example:  prior_shift(head.predict_proba(X), [0.5, 0.5], [0.9, 0.1])",
        )
    shifted = probabilities * (new / old)
    lost = np.flatnonzero(shifted.sum(axis=1) == 0)
    if len(lost):
        raise UsageError(
            f"Row {lost[0]} gives all its probability to classes of new prior 0.",
            f"{len(lost)} of {len(shifted)} rows do.",
            "New priors above 0 for classes that rows are sure of.",
            "Look at them with:  probabilities[:, numpy.asarray(priors_new) > 0].sum(axis=1)",
        )
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def _columns(kind: str, matrix: Array) -> Float64:
    """Return a finite float64 matrix of two rows or more."""
    found = np.asarray(matrix)
    _check_complete(kind, found)
    if found.ndim != 2 or len(found) < 2 or not found.shape[1]:
        raise ShapeError(
            f"The {kind} have shape {found.shape}.",
            "A row belongs to each item, a column to each target.",
            "Shape (n_items, n_targets) with two items or more.",
            f"Look at it with:  {kind}.shape",
        )
    return found.astype(np.float64)


def _check_complete(kind: str, found: Array) -> None:
    """Raise `DataError` where something is missing, infinite or, for numbers, no number."""
    if found.dtype == object:
        is_missing = np.array([each is None or each != each for each in found.ravel()])
    elif found.dtype.kind in "fc":
        is_missing = ~np.isfinite(found).ravel()
    else:
        is_missing = np.zeros(1, dtype=bool)
    if is_missing.any() or (kind != "classes" and found.dtype.kind not in "buif"):
        raise DataError(
            f"The {kind} are of type {found.dtype}; {int(is_missing.sum())} are missing or not "
            "finite.",
            f"There are {found.size}.",
            "A label for every item." if kind == "classes" else "A finite number for every item.",
            "Leave those items out, or label them.",
        )


def _counted(labels: Array) -> str:
    n_classes = len(np.unique(labels))
    return f"{n_classes} class" + ("es" if n_classes != 1 else "")


def _n_constant(Y: Float64) -> int:
    return int((np.ptp(Y, axis=0) == 0).sum())


def _names(names: Sequence[str] | None, Y: Float64, word: str) -> tuple[str, ...]:
    found = tuple(names or (f"{word} {number}" for number in range(Y.shape[1])))
    if len(found) != Y.shape[1]:
        raise ShapeError(
            f"{len(found)} names don't fit {Y.shape[1]} columns.",
            f"The first names are {list(found[:3])}.",
            "One name per column.",
            "Look at it with:  matrix.shape",
        )
    return found
