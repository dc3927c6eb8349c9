"""Probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import scipy.special
from scipy.optimize import minimize, minimize_scalar

from cutpoint.base.types import Array, Float64

N_BINS = 15  # equal-mass; science.md §8
FEWEST_IN_BIN = 20  # items; of fewer, accuracy is known to ±.11 and worse, which counts as error


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


def fit_sigmoid(scores: Array, truth: Array) -> tuple[float, float]:
    """Return slope and offset: ``sigmoid(slope · score + offset)`` is how likely a label is.

    Parameters
    ----------
    scores : array of shape (n_items,)
        Leave-one-out or out-of-fold scores.
    truth : array of shape (n_items,)
        1 where the item has the label, 0 elsewhere; both are there.

    Notes
    -----
    A falling sigmoid would say that the scores are wrong more often than chance, which rows left
    out of noise do: the slope is then 0, and every row as likely as the label is common.

    References
    ----------
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with his smoothed targets.
    """
    n_with = float(np.sum(truth))
    n_without = len(truth) - n_with
    targets = np.where(truth == 1, (n_with + 1) / (n_with + 2), 1 / (n_without + 2))
    unit = float(np.std(scores)) or 1.0
    centred = (np.asarray(scores, np.float64) - np.mean(scores)) / unit

    def loss(line: Float64) -> tuple[float, Float64]:
        logits = line[0] * centred + line[1]
        wrong = scipy.special.expit(logits) - targets
        value = (np.logaddexp(0, logits) - targets * logits).mean()
        return float(value), np.array([(wrong * centred).mean(), wrong.mean()])

    start = np.array([0.0, scipy.special.logit(targets.mean())])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    if found[0] <= 0:
        return 0.0, float(start[1])
    return float(found[0] / unit), float(found[1] - found[0] * np.mean(scores) / unit)


def best_threshold(likely: Array, truth: Array) -> float:
    """Return the probability from which a label is given: that of the largest F1.

    The highest of equals.

    Parameters
    ----------
    likely : array of shape (n_items,)
        Probabilities of rows left out.
    truth : array of shape (n_items,)
        1 where the item has the label, 0 elsewhere.

    Returns
    -------
    threshold : float
        Halfway between two probabilities, so that rounding decides nothing; 0 if all rows get it.
    """
    each, first = np.unique(likely, return_inverse=True)
    above = np.bincount(first, minlength=len(each))[::-1].cumsum()[::-1]
    right = np.bincount(first, truth, len(each))[::-1].cumsum()[::-1]
    f1 = 2 * right / (above + np.sum(truth))
    best = len(each) - 1 - int(np.argmax(f1[::-1]))
    return float((each[best - 1] + each[best]) / 2) if best else 0.0


def reliability(confidence: Array, is_right: Array, n_bins: int | None = None) -> Float64:
    """Return (n_bins, 3): mean confidence, accuracy and count of equal-mass bins.

    By default there are `N_BINS`, or as many as leave each `FEWEST_IN_BIN` items.
    """
    order = np.argsort(confidence, kind="stable")
    n_bins = n_bins or max(1, min(N_BINS, len(order) // FEWEST_IN_BIN))
    bins = [part for part in np.array_split(order, n_bins) if len(part)]
    rows = [(confidence[part].mean(), is_right[part].mean(), len(part)) for part in bins]
    return np.array(rows, dtype=np.float64)


def calibration_error(confidence: Array, is_right: Array, n_bins: int | None = None) -> float:
    """Return the expected calibration error over equal-mass bins, 0–1.

    Notes
    -----
    By default the bins are those of `reliability`: fewer where items are few, as each bin adds the
    noise of its own accuracy to the error (Roelofs et al.). With 16 items in 15 bins a head that is
    off by .125 would be said to be off by .44.

    References
    ----------
    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015; bins of
    equal mass as in Nixon et al., "Measuring Calibration in Deep Learning", 2019; how many: Roelofs
    et al., "Mitigating Bias in Calibration Error Estimation", 2022.
    """
    rows = reliability(confidence, is_right, n_bins)
    gaps = np.abs(rows[:, 0] - rows[:, 1])
    return float((gaps * rows[:, 2]).sum() / rows[:, 2].sum())
