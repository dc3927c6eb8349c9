"""Probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import scipy.special
from scipy.optimize import minimize_scalar

from cutpoint.base.types import Array, Float64

N_BINS = 15  # equal-mass; science.md §8


def softmax(scores: Array, temperature: float = 1.0) -> Float64:
    """Return probabilities of shape (n_items, n_classes)."""
    probabilities = scipy.special.softmax(np.asarray(scores, np.float64) / temperature, axis=1)
    return np.asarray(probabilities, dtype=np.float64)


def log_loss(scores: Array, truth: Array) -> float:
    """Return the mean log-loss of scores before the softmax; `truth` holds columns."""
    logs = scipy.special.log_softmax(scores, axis=1)
    return float(-logs[np.arange(len(truth)), truth].mean())


def fit_temperature(scores: Array, truth: Array) -> float:
    """Return the temperature that minimises the log-loss of held-out scores.

    Parameters
    ----------
    scores : array of shape (n_items, n_classes)
        Leave-one-out or out-of-fold scores; training scores would make it overconfident.
    truth : int array of shape (n_items,)
        Column of the right class.

    Notes
    -----
    The right class counts 1 − 1/(n_items + 2), the others share the rest. So n right answers out of
    n do not prove certainty: 20 of 20 give a confidence of about .95.

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks", 2017; the smoothed targets are those of
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999.
    """
    n_items, n_classes = scores.shape
    doubt = 1.0 / (n_items + 2)
    targets = np.full((n_items, n_classes), doubt / (n_classes - 1))
    targets[np.arange(n_items), truth] = 1.0 - doubt

    def log_loss(log_temperature: float) -> float:
        log_probabilities = scipy.special.log_softmax(scores / np.exp(log_temperature), axis=1)
        return float(-(targets * log_probabilities).sum(axis=1).mean())

    # Ridge scores of one-hot targets differ by about 1: 1/1000 to 1000 holds every optimum.
    found = minimize_scalar(log_loss, bounds=(np.log(1e-3), np.log(1e3)), method="bounded")
    return float(np.exp(found.x))


def reliability(confidence: Array, is_right: Array, n_bins: int = N_BINS) -> Float64:
    """Return (n_bins, 3): mean confidence, accuracy and count of equal-mass bins."""
    order = np.argsort(confidence, kind="stable")
    bins = [part for part in np.array_split(order, n_bins) if len(part)]
    rows = [(confidence[part].mean(), is_right[part].mean(), len(part)) for part in bins]
    return np.array(rows, dtype=np.float64)


def calibration_error(confidence: Array, is_right: Array, n_bins: int = N_BINS) -> float:
    """Return the expected calibration error over equal-mass bins, 0–1.

    References
    ----------
    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015; bins of
    equal mass as in Nixon et al., "Measuring Calibration in Deep Learning", 2019.
    """
    rows = reliability(confidence, is_right, n_bins)
    gaps = np.abs(rows[:, 0] - rows[:, 1])
    return float((gaps * rows[:, 2]).sum() / rows[:, 2].sum())
