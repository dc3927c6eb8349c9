"""Transferability scores: how well features may serve labels, before any head is trained."""

from cutpoint.choosing.scores.agreement import null_band, static_ranking, weighted_tau
from cutpoint.choosing.scores.bhattacharyya import gbc
from cutpoint.choosing.scores.coding import transrate
from cutpoint.choosing.scores.correlation import parc
from cutpoint.choosing.scores.entropy import nce
from cutpoint.choosing.scores.expected import leep
from cutpoint.choosing.scores.fisher import sfda
from cutpoint.choosing.scores.hscore import h_score, regularised_h_score
from cutpoint.choosing.scores.knn import knn_loo
from cutpoint.choosing.scores.logme import log_me
from cutpoint.choosing.scores.mixture import nleep
from cutpoint.choosing.scores.registry import SCORES, Score
from cutpoint.choosing.scores.ridge import loo_ridge

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
