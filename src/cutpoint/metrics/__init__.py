"""Scores with intervals, and calibration."""

from cutpoint.metrics.calibration import calibration_error, fit_temperature, reliability, softmax
from cutpoint.metrics.intervals import Interval, wilson
from cutpoint.metrics.scores import Scores, score

__all__ = [
    "Interval",
    "Scores",
    "calibration_error",
    "fit_temperature",
    "reliability",
    "score",
    "softmax",
    "wilson",
]
