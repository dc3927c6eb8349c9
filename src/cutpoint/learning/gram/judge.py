"""One candidate judged by everything its eigendecomposition gives."""

from __future__ import annotations

from dataclasses import dataclass

from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.evidence import log_evidence
from cutpoint.learning.gram.nystrom import spectrum_of
from cutpoint.learning.gram.path import loo_path
from cutpoint.learning.gram.ridge import Spectrum, alpha_grid
from cutpoint.learning.gram.separation import regularised_h_score
from cutpoint.learning.gram.targets import Targets


@dataclass(frozen=True)
class Judged:
    """What one eigendecomposition says of features and targets.

    Attributes
    ----------
    alpha : float
        λ of the smallest leave-one-out squared error.
    loo_mse : float
        That error, mean over rows and targets.
    scores : float64 array of shape (n_items, n_targets)
        Each row's by the model fitted without it.
    log_evidence : float
        Per item, mean over targets; with an intercept, so not the published LogME.
    h_score : float or None
        Regularised; None unless targets are classes.
    is_exact : bool
        False where features were too many and were approximated.
    rank : int
        Directions in which rows differ.
    """

    alpha: float
    loo_mse: float
    scores: Float64
    log_evidence: float
    h_score: float | None
    is_exact: bool
    rank: int


def judge(
    features: Array | Spectrum,
    targets: Targets,
    n_alphas: int = 20,
    groups: Array | None = None,
    weights: Array | None = None,
) -> Judged:
    """Judge features by rows left out, by evidence and by the H-score.

    Parameters
    ----------
    features : array of shape (n_items, n_features), or Spectrum
        A spectrum brings its own weights.
    targets : Targets
    n_alphas : int, default 20
        How many λ of `alpha_grid` are tried.
    groups : array of shape (n_items,), optional
        Rows of one group are left out together.
    weights : array of shape (n_items,), optional
        One per row, ≥ 0, in all of the figures; `Targets.balanced_weights`, for example.
    """
    spectrum = features if isinstance(features, Spectrum) else spectrum_of(features, weights)
    path = loo_path(spectrum, targets.Y, alpha_grid(spectrum, n_alphas), groups)
    return Judged(
        path.alpha,
        path.mse,
        path.scores,
        log_evidence(spectrum, targets.Y).mean,
        regularised_h_score(spectrum, targets.Y) if targets.kind == "classes" else None,
        spectrum.is_exact,
        spectrum.rank,
    )
