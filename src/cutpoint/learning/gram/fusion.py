"""Several layers as one: their Gram matrices added, each of the same weight to begin with.

Features side by side have the sum of their Gram matrices. Each layer's is divided by its mean
squared row length first, so that neither width nor scale decides how much a layer says::

    K = Σ_l w_l X̃_l X̃_lᵀ / s_l,   s_l = mean |x̃_l|²

is the Gram matrix of the features X̃_l √(w_l / s_l) side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy.linalg.blas import dsyrk

from cutpoint.base.errors import ShapeError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram.ridge import Spectrum

# Columns taken to float64 at a time: 64 MiB of 2000 rows.
_BLOCK_COLUMNS = 4096
# Gram matrices of all layers together that are kept rather than made again.
MAX_BYTES = 2 * 2**30


def mean_squared_length(X: Array) -> float:
    """Return the mean squared length of centred rows (n_items, n_features)."""
    return float(sum(np.square(part).sum() for part in _centred_columns(X)) / len(X))


def layer_scale(X: Array, weight: float = 1.0) -> float:
    """Return the factor of a layer's features that gives their Gram matrix `weight`, ≥ 0.

    0 for a layer whose rows are all the same.
    """
    length = mean_squared_length(X)
    return float(np.sqrt(weight / length)) if length > 0 else 0.0


def normalised_gram(X: Array) -> Float64:
    """Return the Gram matrix of centred rows over their mean squared length."""
    return GramSum(len(X)).add("X", X).gram


class GramSum:
    """Sum of normalised Gram matrices, of which only the sum is in memory.

    Parameters
    ----------
    n_items : int

    Attributes
    ----------
    scales : dict of str to float
        By layer: the factor of its features, `layer_scale`.
    n_features : int
        Sum over the layers.
    """

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.scales: dict[str, float] = {}
        self.n_features = 0
        # BLAS adds to it in place, and only above the diagonal: half the products.
        self._upper: Float64 = np.zeros((n_items, n_items), order="F")

    def add(self, name: str, X: Array, weight: float = 1.0) -> GramSum:
        """Take in a layer's features (n_items, n_features) with `weight`, ≥ 0."""
        if X.ndim != 2 or len(X) != self.n_items:
            raise ShapeError(
                f'Layer "{name}" has features of shape {X.shape}, not of {self.n_items} rows.',
                f"The Gram matrices they are added to are of {self.n_items} items.",
                f"Shape ({self.n_items}, n_features).",
                "Look at it with:  X.shape",
            )
        scale = layer_scale(X, weight)
        for part in _centred_columns(X):
            self._upper = dsyrk(
                scale**2, part.T, trans=1, beta=1.0, c=self._upper, overwrite_c=True
            )
        self.scales[name] = scale
        self.n_features += X.shape[1]
        return self

    @property
    def gram(self) -> Float64:
        """The sum so far, (n_items, n_items)."""
        return np.asarray(np.triu(self._upper) + np.triu(self._upper, 1).T, dtype=np.float64)

    def spectrum(self, weights: Array | None = None) -> Spectrum:
        """Return the spectrum of all features side by side; `weights` are of rows."""
        return Spectrum.of_gram(self.gram, self.n_features, weights)


def fuse(features: Sequence[Array], scales: Sequence[float]) -> Array:
    """Return features side by side, (n_items, Σ n_features), each times its scale."""
    parts = [X * X.dtype.type(scale) for X, scale in zip(features, scales, strict=True)]
    return np.concatenate(parts, axis=1)


class Grams(Mapping[str, Float64]):
    """Gram matrices by layer, made when asked for, and kept if there is room for all.

    Parameters
    ----------
    names : sequence of str
    gram_of : callable
        From a name to its Gram matrix, `normalised_gram` of its features for example.
    max_bytes : int, default 2 GiB
        Where all of them together are more, each is made anew each time.
    """

    def __init__(
        self,
        names: Sequence[str],
        gram_of: Callable[[str], Float64],
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._names, self._gram_of, self._max_bytes = tuple(names), gram_of, max_bytes
        self._kept: dict[str, Float64] = {}

    def __getitem__(self, name: str) -> Float64:
        if name not in self._names:
            raise KeyError(name)
        if name in self._kept:
            return self._kept[name]
        gram = self._gram_of(name)
        if gram.nbytes * len(self._names) <= self._max_bytes:
            self._kept[name] = gram
        return gram

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _centred_columns(X: Array) -> Iterator[Float64]:
    """Yield some columns at a time, centred, in float64."""
    for start in range(0, X.shape[1], _BLOCK_COLUMNS):
        part = X[:, start : start + _BLOCK_COLUMNS].astype(np.float64)
        part -= part.mean(axis=0)
        yield part
