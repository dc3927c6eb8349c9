"""The exact engine: one eigendecomposition a candidate, then every λ at once."""

from cutpoint.gram.evidence import Evidence, log_evidence
from cutpoint.gram.judge import Judged, judge
from cutpoint.gram.moments import Moments, Variances
from cutpoint.gram.nystrom import (
    NystromMap,
    draw_landmarks,
    nystrom_features,
    nystrom_map,
    spectrum_of,
)
from cutpoint.gram.path import LooPath, loo_path
from cutpoint.gram.ridge import DualSolution, RidgeSolution, Spectrum, alpha_grid, one_hot
from cutpoint.gram.separation import h_score, ledoit_wolf, regularised_h_score
from cutpoint.gram.targets import Targets, prior_shift

__all__ = [
    "DualSolution",
    "Evidence",
    "Judged",
    "LooPath",
    "Moments",
    "NystromMap",
    "RidgeSolution",
    "Spectrum",
    "Targets",
    "Variances",
    "alpha_grid",
    "draw_landmarks",
    "h_score",
    "judge",
    "ledoit_wolf",
    "log_evidence",
    "loo_path",
    "nystrom_features",
    "nystrom_map",
    "one_hot",
    "prior_shift",
    "regularised_h_score",
    "spectrum_of",
]
