"""How good predictions are, each figure as the field defines it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)

from cutpoint.base.types import Array
from cutpoint.learning.metrics.calibration import calibration_error
from cutpoint.learning.metrics.intervals import Interval, wilson


@dataclass(frozen=True)
class Scores:
    """Scores of class probabilities.

    Attributes
    ----------
    accuracy : Interval
        Wilson, 95 %.
    balanced_accuracy, macro_f1, log_loss : float
        scikit-learn's.
    auc : float or None
        Area under the ROC curve; for more than two classes the mean of one against the rest.
        None if all items are of one class.
    ece : float
        Expected calibration error over equal-mass bins: 15, fewer for less than 300 items.
    confusion : tuple of tuples
        Rows are the truth, columns the prediction, in class order.
    """

    n_items: int
    accuracy: Interval
    balanced_accuracy: float
    macro_f1: float
    auc: float | None
    log_loss: float
    ece: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def headline(self) -> tuple[str, Interval, str]:
        """Name of the first figure, the figure, and how its interval was found."""
        return "accuracy", self.accuracy, "Wilson"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return name and text of each figure."""
        return [
            ("accuracy", f"{self.accuracy} (95 %, Wilson, n={self.n_items})"),
            ("balanced accuracy", f"{self.balanced_accuracy:.3f}"),
            ("macro F1", f"{self.macro_f1:.3f}"),
            ("AUC", "–" if self.auc is None else f"{self.auc:.3f}"),
            ("log-loss", f"{self.log_loss:.3f}"),
            ("calibration error (ECE)", f"{self.ece:.3f}"),
        ]


def score(probabilities: Array, truth: Array) -> Scores:
    """Return the scores of probabilities against the truth.

    Parameters
    ----------
    probabilities : array of shape (n_items, n_classes)
        Rows sum to 1.
    truth : int array of shape (n_items,)
        Column of the right class.
    """
    columns = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    is_right = predicted == truth
    matrix = confusion_matrix(truth, predicted, labels=columns)
    present = np.unique(truth)
    return Scores(
        n_items=len(truth),
        accuracy=wilson(int(is_right.sum()), len(truth)),
        balanced_accuracy=float(
            recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
        ),
        macro_f1=float(f1_score(truth, predicted, average="macro", zero_division=0)),
        auc=_auc(probabilities, truth),
        log_loss=float(log_loss(truth, probabilities, labels=columns)),
        ece=calibration_error(probabilities.max(axis=1), is_right),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
    )


def _auc(probabilities: Array, truth: Array) -> float | None:
    present = np.unique(truth)
    areas = [
        roc_auc_score(truth == column, probabilities[:, column])
        for column in present
        if len(present) > 1
    ]
    return float(np.mean(areas)) if areas else None
