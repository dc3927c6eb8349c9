"""What every score checks before it computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64


def check_rows(features: Any, labels: Any) -> tuple[Float64, Array]:
    """Return features as float64 and the class of each row, 0 to n_classes − 1."""
    X = np.asarray(features, dtype=np.float64)
    if X.ndim != 2 or not X.shape[1] or not np.isfinite(X).all():
        raise ShapeError(
            "The features hold NaN or infinity."
            if X.ndim == 2 and X.size
            else "The features are no matrix with a row per item.",
            f"They have shape {X.shape}.",
            "Finite numbers of shape (n_items, n_features), one feature or more.",
            "Look with:  numpy.isfinite(features).all(), features.shape",
        )
    return X, check_labels(labels, len(X))


def check_labels(labels: Any, n_items: int) -> Array:
    """Return the class of each row, 0 to n_classes − 1."""
    y = np.asarray(labels)
    if y.shape != (n_items,):
        raise ShapeError(
            f"Labels of shape {y.shape} don't fit {n_items} rows.",
            "A score compares features with the labels of the same items.",
            "One label for each row.",
            f"Look with:  labels.shape == ({n_items},)",
        )
    classes, truth = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise UsageError(
            f"All {n_items} labels are equal.",
            "A score says how well features separate classes.",
            "Labels of two classes or more.",
            "Look with:  numpy.unique(labels, return_counts=True)",
        )
    return np.asarray(truth)


def check_probabilities(probabilities: Any, labels: Any) -> tuple[Float64, Array]:
    """Return probabilities of source classes as float64, and the class of each row."""
    P = np.asarray(probabilities, dtype=np.float64)
    # 1e-3: softmax outputs in half precision sum to one no better.
    if P.ndim != 2 or not (P >= 0).all() or not (np.abs(P.sum(axis=1) - 1) < 1e-3).all():
        raise ShapeError(
            "The source's probabilities have rows that are none."
            if P.ndim == 2
            else "The source's probabilities are no matrix with a row per item.",
            f"They have shape {P.shape}.",
            "Softmax outputs of the source's own head, (n_items, n_source_classes), rows sum to 1.",
            "Turn logits into them with:  cutpoint.metrics.softmax(logits)",
        )
    return P, check_labels(labels, len(P))


def check_compat(score: str, compat: str | None, known: tuple[str, ...]) -> None:
    """Raise `UsageError` unless `compat` is None or one of the published versions we reproduce."""
    if compat is not None and compat not in known:
        raise UsageError(
            f'No published version "{compat}" of {score} is known.',
            f"Known are: {', '.join(known) or 'none'}.",
            "One of these, or none for the formula itself.",
            f"Type, for example:  {score}(…, compat={known[0]!r})" if known else f"{score}(…)",
        )
