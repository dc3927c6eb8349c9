"""Which layers to fuse, and with what weights, by the rows left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from scipy.optimize import minimize

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.leave_out import members_of
from cutpoint.learning.gram.path import LooPath, loo_path
from cutpoint.learning.gram.ridge import Spectrum, alpha_grid
from cutpoint.learning.gram.targets import Targets

# λ stays at or above this share of the mean squared row length, as in `alpha_grid`.
_SMALLEST_ALPHA = 1e-4


@dataclass(frozen=True)
class Fusion:
    """Layers made one, judged on the rows that chose them: a little flattered.

    Attributes
    ----------
    names : tuple of str
        Layers of positive weight.
    weights : tuple of float
        One per Gram matrix of these layers; they sum to 1.
    alpha : float
        λ for Σ weight × Gram.
    loo_mse : float
    scores : float64 array of shape (n_items, n_targets)
        Each row's by the model fitted without it (or its group).
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    alpha: float
    loo_mse: float
    scores: Float64


def greedy_forward(
    grams: Mapping[str, Array],
    targets: Targets,
    groups: Array | None = None,
    at_most: int | None = None,
) -> Fusion:
    """Add the layer that lowers the leave-one-out squared error most, until none does.

    Parameters
    ----------
    grams : mapping of str to array of shape (n_items, n_items)
        Normalised (`normalised_gram`); a dict, or `Grams` to make them when asked for.
    targets : Targets
    groups : array of shape (n_items,), optional
        Rows of one group are left out together.
    at_most : int, optional
        How many layers; each step costs one eigendecomposition for every layer not yet taken.

    Returns
    -------
    fusion : Fusion
        Layers in the order taken, of equal weight.
    """
    _check_not_empty(grams)
    taken: list[str] = []
    total: Float64 | float = 0.0
    best: LooPath | None = None
    while len(taken) < (at_most or len(grams)):
        rest = [name for name in grams if name not in taken]
        paths = [_path((total + grams[name]) / (len(taken) + 1), targets, groups) for name in rest]
        place = int(np.argmin([path.mse for path in paths]))
        if best is not None and paths[place].mse >= best.mse:
            break
        best = paths[place]
        taken.append(rest[place])
        total = total + grams[rest[place]]
    assert best is not None
    weights = (1.0 / len(taken),) * len(taken)
    return Fusion(tuple(taken), weights, best.alpha, best.mse, best.scores)


def nonnegative_weights(
    grams: Mapping[str, Array],
    targets: Targets,
    groups: Array | None = None,
    n_iterations: int = 30,
) -> Fusion:
    """Find weights ≥ 0 of layers that lower the leave-one-out squared error.

    λ and weights are found together: only their ratio matters. Starts at equal weights and the
    best λ for those, so it is never worse; L-BFGS-B with exact gradients, deterministic.

    Parameters
    ----------
    grams, targets, groups
        As for `greedy_forward`.
    n_iterations : int, default 30
        Each inverts one Gram matrix and goes through the layers twice.

    Returns
    -------
    fusion : Fusion
        Layers in the order of `grams`, those of no weight left out.
    """
    _check_not_empty(grams)
    names = list(grams)
    equal = np.full(len(names), 1.0 / len(names))
    start = equal / _path(_weighted(grams, equal), targets, groups).alpha
    members = members_of(groups, np.ones(len(targets.Y)))
    found = minimize(
        lambda factors: _with_gradient(factors * start, grams, targets.Y, members, start),
        np.ones(len(names)),
        method="L-BFGS-B",
        jac=True,
        bounds=[(0.0, 1.0 / (_SMALLEST_ALPHA * each)) for each in start],
        options={"maxiter": n_iterations},
    )
    ratios = found.x * start
    if not ratios.sum() > 0:  # no layer helps: λ has gone to infinity
        ratios = start
    weights = ratios / ratios.sum()
    path = _path(_weighted(grams, weights), targets, groups, 1.0 / float(ratios.sum()))
    kept = [(name, float(weight)) for name, weight in zip(names, weights, strict=True) if weight]
    return Fusion(
        tuple(name for name, _ in kept),
        tuple(weight for _, weight in kept),
        path.alpha,
        path.mse,
        path.scores,
    )


def _path(gram: Float64, targets: Targets, groups: Array | None, *alphas: float) -> LooPath:
    """Return the errors over `alpha_grid` and the λ given besides."""
    spectrum = Spectrum.of_gram(gram, len(gram))
    return loo_path(spectrum, targets.Y, [*alphas, *alpha_grid(spectrum)], groups)


def _weighted(grams: Mapping[str, Array], weights: Float64) -> Float64:
    total = np.zeros_like(grams[next(iter(grams))], dtype=np.float64)
    for weight, name in zip(weights, grams, strict=True):
        if weight:
            total += weight * grams[name]
    return total


def _with_gradient(
    ratios: Float64,
    grams: Mapping[str, Array],
    Y: Float64,
    members: list[Array],
    scale: Float64,
) -> tuple[float, Float64]:
    """Return the leave-one-out squared error at λ = 1, and its gradient in ratios / scale.

    With G = (K + 1)⁻¹, a = Gỹ and M = G_BB − 1/n for a group B of rows (one row, if there are no
    groups), e_B = M⁻¹ a_B are the errors. A change dK moves the error by ⟨2 (G S G − G u aᵀ), dK⟩,
    where u_B = M⁻¹ e_B and S holds u_B e_Bᵀ: one matrix for all layers.
    """
    n = len(Y)
    shifted = _weighted(grams, ratios)
    shifted[np.diag_indices(n)] += 1.0
    inverse = _inverse(shifted)
    fit = inverse @ (Y - Y.mean(axis=0))  # a
    errors, adjoint, turned = np.empty_like(fit), np.empty_like(fit), np.empty_like(inverse)
    for blocks in members:
        for rows in blocks:
            kept = inverse[np.ix_(rows, rows)] - 1.0 / n
            errors[rows] = np.linalg.solve(kept, fit[rows])
            adjoint[rows] = np.linalg.solve(kept, errors[rows])
            turned[rows] = (adjoint[rows] @ errors[rows].T) @ inverse[rows]  # S G
    sensitivity = inverse @ turned - (inverse @ adjoint) @ fit.T
    gradient = [2.0 * np.einsum("ij,ij->", grams[name], sensitivity) for name in grams]
    return float(np.square(errors).mean()), np.array(gradient) * scale / Y.size


def _inverse(matrix: Float64) -> Float64:
    """Return the inverse of a positive definite matrix, which is lost."""
    factor = scipy.linalg.cholesky(matrix.T, lower=False, overwrite_a=True)
    upper, info = scipy.linalg.lapack.dpotri(factor, overwrite_c=True)
    assert info == 0
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T, dtype=np.float64)


def _check_not_empty(grams: Mapping[str, Array]) -> None:
    if not len(grams):
        raise UsageError(
            "There are no layers to fuse.",
            "No Gram matrix came.",
            "One layer or more.",
            'Type, for example:  greedy_forward({"layer4": normalised_gram(X)}, targets)',
        )
