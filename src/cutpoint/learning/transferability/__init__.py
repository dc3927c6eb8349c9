"""Transferability scores: how well features may serve labels, before any head is trained."""

from cutpoint.learning.transferability.agreement import null_band, static_ranking, weighted_tau
from cutpoint.learning.transferability.bhattacharyya import gbc
from cutpoint.learning.transferability.coding import transrate
from cutpoint.learning.transferability.correlation import parc
from cutpoint.learning.transferability.entropy import nce
from cutpoint.learning.transferability.expected import leep
from cutpoint.learning.transferability.fisher import sfda
from cutpoint.learning.transferability.hscore import h_score, regularised_h_score
from cutpoint.learning.transferability.knn import knn_loo
from cutpoint.learning.transferability.logme import log_me
from cutpoint.learning.transferability.mixture import nleep
from cutpoint.learning.transferability.registry import SCORES, Score
from cutpoint.learning.transferability.ridge import loo_ridge

__all__ = [
    "SCORES",
    "Score",
    "gbc",
    "h_score",
    "knn_loo",
    "leep",
    "log_me",
    "loo_ridge",
    "nce",
    "nleep",
    "null_band",
    "parc",
    "regularised_h_score",
    "sfda",
    "static_ranking",
    "transrate",
    "weighted_tau",
]
