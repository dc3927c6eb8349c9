"""The exact engine: one eigendecomposition a candidate, then every λ at once."""

from cutpoint.learning.gram.alignment import cka, cka_of_features, hsic
from cutpoint.learning.gram.evidence import Evidence, log_evidence
from cutpoint.learning.gram.fusion import Grams, GramSum, fuse, layer_scale, normalised_gram
from cutpoint.learning.gram.judge import Judged, judge
from cutpoint.learning.gram.layer_weights import Fusion, greedy_forward, nonnegative_weights
from cutpoint.learning.gram.moments import Moments, Variances
from cutpoint.learning.gram.nystrom import (
    MAX_EXACT,
    NystromMap,
    draw_landmarks,
    nystrom_features,
    nystrom_map,
    spectrum_of,
)
from cutpoint.learning.gram.path import LooPath, loo_path
from cutpoint.learning.gram.ridge import DualSolution, RidgeSolution, Spectrum, alpha_grid, one_hot
from cutpoint.learning.gram.separation import h_score, ledoit_wolf, regularised_h_score
from cutpoint.learning.gram.targets import Targets, prior_shift

__all__ = [
    "MAX_EXACT",
    "DualSolution",
    "Evidence",
    "Fusion",
    "GramSum",
    "Grams",
    "Judged",
    "LooPath",
    "Moments",
    "NystromMap",
    "RidgeSolution",
    "Spectrum",
    "Targets",
    "Variances",
    "alpha_grid",
    "cka",
    "cka_of_features",
    "draw_landmarks",
    "fuse",
    "greedy_forward",
    "h_score",
    "hsic",
    "judge",
    "layer_scale",
    "ledoit_wolf",
    "log_evidence",
    "loo_path",
    "nonnegative_weights",
    "normalised_gram",
    "nystrom_features",
    "nystrom_map",
    "one_hot",
    "prior_shift",
    "regularised_h_score",
    "spectrum_of",
]
