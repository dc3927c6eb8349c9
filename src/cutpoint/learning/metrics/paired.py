"""Whether one model is better than another, or chance alone says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, t

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64


@dataclass(frozen=True)
class McNemar:
    """Two models on the same items.

    Attributes
    ----------
    only_a, only_b : int
        Items that only the one got right (b and c of the 2 × 2 table).
    p_value : float
        Exact, two-sided.
    """

    only_a: int
    only_b: int
    p_value: float

    def __str__(self) -> str:
        return f"{self.only_a} right by the first alone, {self.only_b} by the second alone, " + (
            f"p = {self.p_value:.3g} (exact McNemar)"
        )


def mcnemar(right_a: Array, right_b: Array) -> McNemar:
    """Return McNemar's exact test of two models on the same items.

    Parameters
    ----------
    right_a, right_b : bool arrays of shape (n_items,)
        Whether each item was answered rightly.

    Notes
    -----
    Only items that one of them got right tell; each falls to either side with probability ½ if
    the models are equally good. Without such items p is 1.
    """
    a, b = np.asarray(right_a), np.asarray(right_b)
    if a.shape != b.shape or a.ndim != 1 or a.dtype != bool or b.dtype != bool:
        raise ShapeError(
            "McNemar's test can't compare these two.",
            f"Got {a.dtype} of shape {a.shape} and {b.dtype} of shape {b.shape}.",
            "Right or wrong, True or False, of two models on the same items: (n_items,).",
            "Type, for example:  mcnemar(predicted_a == truth, predicted_b == truth)",
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n_told = only_a + only_b
    return McNemar(only_a, only_b, float(binomtest(only_a, n_told).pvalue) if n_told else 1.0)


@dataclass(frozen=True)
class ResampledT:
    """A mean difference and what chance says to it.

    Attributes
    ----------
    difference : float
    t : float
    p_value : float
        Two-sided.
    """

    difference: float
    t: float
    p_value: float

    def __str__(self) -> str:
        return f"{self.difference:+.3f}, t = {self.t:.2f}, p = {self.p_value:.3g}"


def corrected_resampled_t(
    differences: Sequence[float] | Array, n_train: int, n_test: int
) -> ResampledT:
    """Return the t-test of two models over the folds of a (repeated) cross-validation.

    Parameters
    ----------
    differences : array of shape (n_folds × n_repeats,)
        Score of the one minus score of the other, fold by fold.
    n_train, n_test : int
        Items in the training and in the test part of a fold.

    Notes
    -----
    ``t = mean / √((1/J + n_test/n_train) s²)`` with J − 1 degrees of freedom. The plain t-test
    leaves n_test/n_train out: it takes the folds for independent, though they share most of their
    training rows, and finds differences where there are none (docs/benchmarks/resampling.md).

    References
    ----------
    Nadeau and Bengio, "Inference for the Generalization Error", 2003.
    """
    found: Float64 = np.asarray(differences, np.float64).ravel()
    if len(found) < 2 or n_train < 1 or n_test < 1:
        raise UsageError(
            "These folds give no corrected resampled t-test.",
            f"Got {len(found)} differences, n_train={n_train}, n_test={n_test}.",
            "Two folds or more, of one item or more each.",
            "Type, for example:  corrected_resampled_t(scores_a - scores_b, 80, 20)",
        )
    mean, variance = float(found.mean()), float(found.var(ddof=1))
    if variance == 0:  # all folds agree: no difference at all, or one that never varies
        return ResampledT(mean, np.inf * np.sign(mean) if mean else 0.0, 0.0 if mean else 1.0)
    value = mean / np.sqrt((1 / len(found) + n_test / n_train) * variance)
    return ResampledT(mean, float(value), float(2 * t.sf(abs(value), len(found) - 1)))


def holm(p_values: Sequence[float] | Array) -> Float64:
    """Return p-values that stay honest though several were looked at.

    Parameters
    ----------
    p_values : array of shape (n_tests,)
        0–1, of any dependence.

    Returns
    -------
    adjusted : float64 array of shape (n_tests,)
        Below α where the test holds at α among all of them.

    References
    ----------
    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    found = np.asarray(p_values, np.float64)
    if found.ndim != 1 or not np.all((found >= 0) & (found <= 1)):
        raise UsageError(
            "Holm's correction can't take these p-values.",
            f"Got values of shape {found.shape}, not all of them from 0 to 1.",
            "One p-value a test.",
            "Type, for example:  holm([0.01, 0.04, 0.03])",
        )
    order = np.argsort(found, kind="stable")
    scaled = found[order] * np.arange(len(found), 0, -1)
    adjusted = np.empty_like(found)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted
