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
from cutpoint.learning.metrics.labels import LabelScore, LabelScores, score_labels
from cutpoint.learning.metrics.paired import (
    McNemar,
    ResampledT,
    corrected_resampled_t,
    holm,
    mcnemar,
)
from cutpoint.learning.metrics.resampling import bootstrap, max_t, paired_bootstrap
from cutpoint.learning.metrics.scores import Scores, score
from cutpoint.learning.metrics.values import (
    ValueScores,
    conformal_margin,
    r2_interval,
    score_values,
)

__all__ = [
    "Interval",
    "LabelScore",
    "LabelScores",
    "McNemar",
    "ResampledT",
    "Scores",
    "ValueScores",
    "best_threshold",
    "bootstrap",
    "calibration_error",
    "cmmd",
    "conformal_margin",
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
    "r2_interval",
    "reliability",
    "score",
    "score_labels",
    "score_values",
    "softmax",
    "wilson",
]
