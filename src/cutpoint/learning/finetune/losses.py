"""What a row left out costs, by what is predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special

from cutpoint.base.types import Array, Float64


def _of_classes(scores: Float64, truth: Array) -> Float64:
    logs = scipy.special.log_softmax(scores, axis=-1)
    return np.asarray(-np.take_along_axis(logs, truth[:, None], -1)[:, 0])


def _of_labels(scores: Float64, truth: Array) -> Float64:
    return np.asarray((np.logaddexp(0, scores) - truth * scores).mean(axis=-1))


def _of_values(scores: Float64, truth: Array) -> Float64:
    return np.asarray(np.square(scores - truth).mean(axis=-1))


LOSSES: dict[str, Callable[[Float64, Array], Float64]] = {
    "classes": _of_classes,
    "labels": _of_labels,
    "values": _of_values,
}
"""Scores (n_items, n_outputs) and truth → the loss of each item: negative log-likelihood of a
class; that a label; squared error, of values that were divided by their deviation."""
SAID = {"classes": "NLL", "labels": "NLL a label", "values": "squared error / variance"}


def right(target: str, scores: Float64, truth: Array) -> Float64:
    """Return how right each item's scores are, 0–1; of values minus the squared error."""
    if target == "classes":
        return np.asarray(scores.argmax(axis=-1) == truth, np.float64)
    if target == "labels":
        return np.asarray(np.mean((scores > 0) == (truth > 0), axis=-1), np.float64)
    return np.asarray(-_of_values(scores, truth))
