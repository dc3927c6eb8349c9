"""How good predicted values are, each figure with its interval from items drawn again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cutpoint.base.types import Array
from cutpoint.learning.metrics.intervals import Interval
from cutpoint.learning.metrics.resampling import N_DRAWS, bootstrap, drawn_means


@dataclass(frozen=True)
class ValueScores:
    """Scores of predicted values.

    Attributes
    ----------
    n_items : int
    r2 : Interval
        1 − squared error / variance of the items scored; 0 is their mean, below 0 is worse.
    mae, rmse : Interval
        Mean absolute error, root of the mean squared error; in the unit of the values.
    """

    n_items: int
    r2: Interval
    mae: Interval
    rmse: Interval

    @property
    def headline(self) -> tuple[str, Interval, str]:
        """Name of the first figure, the figure, and how its interval was found."""
        return "R²", self.r2, "bootstrap"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return name and text of each figure."""
        return [
            ("R²", f"{self.r2} (95 %, bootstrap, n={self.n_items})"),
            ("mean absolute error", _in_unit(self.mae)),
            ("root mean squared error", _in_unit(self.rmse)),
        ]


def score_values(values: Array, truth: Array) -> ValueScores:
    """Return the scores of predicted values.

    Parameters
    ----------
    values, truth : arrays of shape (n_items,)
        Not all of `truth` the same.
    """
    errors = np.abs(np.asarray(values, np.float64) - truth)
    mse = bootstrap(np.square(errors))
    return ValueScores(
        n_items=len(truth),
        r2=r2_interval(np.square(errors), truth),
        mae=bootstrap(errors),
        rmse=Interval(*(float(np.sqrt(each)) for each in (mse.value, mse.low, mse.high))),
    )


def conformal_margin(errors: Array, share: float = 0.9) -> float | None:
    """Return how far the truth lies from the prediction for `share` of items, at most.

    Parameters
    ----------
    errors : array of shape (n_items,)
        Absolute errors of rows left out; NaN is passed over.
    share : float, 0–1

    Returns
    -------
    margin : float or None
        The ⌈share (n + 1)⌉th smallest; None if so few rows can't say.

    References
    ----------
    Split conformal prediction with leave-one-out residuals in the place of a split: the jackknife
    of Barber et al., "Predictive Inference with the Jackknife+", 2021. Its coverage is near `share`
    where leaving out a row changes the fit little, and not guaranteed.
    """
    known = np.sort(errors[np.isfinite(errors)])
    place = int(np.ceil(share * (len(known) + 1)))
    return float(known[place - 1]) if 0 < place <= len(known) else None


def r2_interval(squared_errors: Array, truth: Array) -> Interval:
    """Return R² with its percentile interval: errors and variance are those of the items drawn.

    Parameters
    ----------
    squared_errors, truth : arrays of shape (n_items,)
        Not all of `truth` the same.
    """
    centred = np.asarray(truth, np.float64) - np.mean(truth)  # keeps the digits of the variance
    found = np.stack([np.asarray(squared_errors, np.float64), np.square(centred), centred])
    drawn = drawn_means(found, N_DRAWS, None, 0)
    spread = drawn[:, 1] - np.square(drawn[:, 2])
    varied = spread > 1e-12 * found[1].mean()  # else all items drawn are alike: no R²
    low, high = np.quantile(1 - drawn[varied, 0] / spread[varied], [0.025, 0.975])
    return Interval(float(1 - found[0].mean() / found[1].mean()), float(low), float(high))


def _in_unit(found: Interval) -> str:
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]"
