"""Wide features of many rows, approximated by an explicit map of few columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.decompose import decompose_gram
from cutpoint.learning.gram.ridge import Spectrum

# Up to here the smaller Gram matrix is decomposed: 0.5 GiB of float64, with as much again for the
# vectors and twice for the work, and more than a minute on one core.
MAX_EXACT = 8192
N_LANDMARKS = 2048
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class NystromMap:
    """From products with landmarks to features of which the products are nearly all products'.

    Attributes
    ----------
    landmarks : int array of shape (n_landmarks,)
        Numbers of the rows all others are compared with.
    root : float64 array of shape (n_landmarks, rank)
        K_mm^{-1/2}, less the directions in which landmarks do not differ.
    """

    landmarks: Array
    root: Float64

    def __call__(self, cross: Array) -> Float64:
        """Return features (n_rows, rank) of products (n_rows, n_landmarks) with the landmarks."""
        return np.asarray(cross @ self.root, dtype=np.float64)


def draw_landmarks(n_items: int, n_landmarks: int = N_LANDMARKS, seed: int = 0) -> Array:
    """Return row numbers, ascending, drawn evenly without repetition."""
    if not 1 < n_landmarks <= n_items:
        raise UsageError(
            f"{n_landmarks} landmarks can't be drawn from {n_items} rows.",
            "Landmarks are rows, drawn without repetition.",
            f"From 2 to {n_items} landmarks.",
            f"Type, for example:  draw_landmarks({n_items}, {max(2, n_items // 4)})",
        )
    return np.sort(np.random.default_rng(seed).choice(n_items, n_landmarks, replace=False))


def nystrom_map(landmarks: Array, landmark_gram: Array) -> NystromMap:
    """Return the map that landmarks' products (n_landmarks, n_landmarks) with each other give.

    The products may be a sum over layers; `__call__` then takes the same sum.
    """
    gram = landmark_gram.astype(np.float64)
    values, vectors = decompose_gram(gram, np.ones(len(gram)), 0.0)
    return NystromMap(landmarks, vectors / np.sqrt(values))


def nystrom_features(X: Array, n_landmarks: int = N_LANDMARKS, seed: int = 0) -> Float64:
    """Return features (n_items, rank) of no more than `n_landmarks` columns in the place of X.

    They are centred rows projected on the span of the landmarks: all products with a landmark are
    kept, those of other pairs approximated.
    """
    landmarks = draw_landmarks(len(X), n_landmarks, seed)
    mean = X.mean(axis=0, dtype=np.float64)
    chosen = X[landmarks] - mean
    project = chosen.T @ nystrom_map(landmarks, chosen @ chosen.T).root
    found = np.empty((len(X), project.shape[1]))
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = X[start : start + _BLOCK_ROWS] - mean
        found[start : start + _BLOCK_ROWS] = rows @ project
    return found


def spectrum_of(X: Array, weights: Array | None = None) -> Spectrum:
    """Return the spectrum of X, by `nystrom_features` if rows and features are both too many.

    Exact where either are no more than `MAX_EXACT`; ``spectrum.is_exact`` says so. The ridge map
    of one that is not exact is a map of the approximating features.
    """
    if X.ndim == 2 and min(X.shape) > MAX_EXACT:
        return Spectrum(nystrom_features(X), weights, is_exact=False)
    return Spectrum(X, weights)
