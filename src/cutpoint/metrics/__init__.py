"""Scores with intervals, calibration, and comparisons that chance does not win."""

from cutpoint.metrics.calibration import calibration_error, fit_temperature, reliability, softmax
from cutpoint.metrics.intervals import Interval, wilson
from cutpoint.metrics.paired import McNemar, ResampledT, corrected_resampled_t, holm, mcnemar
from cutpoint.metrics.resampling import bootstrap, max_t, paired_bootstrap
from cutpoint.metrics.scores import Scores, score

__all__ = [
    "Interval",
    "McNemar",
    "ResampledT",
    "Scores",
    "bootstrap",
    "calibration_error",
    "corrected_resampled_t",
    "fit_temperature",
    "holm",
    "max_t",
    "mcnemar",
    "paired_bootstrap",
    "reliability",
    "score",
    "softmax",
    "wilson",
]
