"""Scores with intervals, calibration, paired comparisons, and distances between domains."""

from cutpoint.learning.metrics.calibration import (
    best_threshold,
    calibration_error,
    fit_sigmoid,
    fit_temperature,
    log_loss,
    reliability,
    softmax,
)
from cutpoint.learning.metrics.distances import (
    cmmd,
    coral,
    cubic_kernel,
    fid,
    kid,
    mmd2,
    proxy_a_distance,
)
from cutpoint.learning.metrics.intervals import Interval, wilson
from cutpoint.learning.metrics.paired import (
    McNemar,
    ResampledT,
    corrected_resampled_t,
    holm,
    mcnemar,
)
from cutpoint.learning.metrics.resampling import bootstrap, max_t, paired_bootstrap
from cutpoint.learning.metrics.scores import Scores, score

__all__ = [
    "Interval",
    "McNemar",
    "ResampledT",
    "Scores",
    "best_threshold",
    "bootstrap",
    "calibration_error",
    "cmmd",
    "coral",
    "corrected_resampled_t",
    "cubic_kernel",
    "fid",
    "fit_sigmoid",
    "fit_temperature",
    "holm",
    "kid",
    "log_loss",
    "max_t",
    "mcnemar",
    "mmd2",
    "paired_bootstrap",
    "proxy_a_distance",
    "reliability",
    "score",
    "softmax",
    "wilson",
]
