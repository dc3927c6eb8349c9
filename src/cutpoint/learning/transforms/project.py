"""Columns mixed by chance: directions drawn with a seed, nothing learned but the width.

Fewer columns or more, so that taps of any width can be brought to a common one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import scipy.linalg
from scipy.sparse import csr_array
from sklearn.exceptions import DataDimensionalityWarning
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from cutpoint.base.types import Array, Float64
from cutpoint.learning.shared.limits import COUNT, SEED, Limit
from cutpoint.learning.transforms.base import Mixed, multiply


def orthogonal(random: np.random.Generator, n_rows: int, n_columns: int) -> Float64:
    """Return orthonormal columns, or rows where those are fewer: every direction equally likely."""
    drawn = random.normal(size=(max(n_rows, n_columns), min(n_rows, n_columns)))
    turned, upper = scipy.linalg.qr(drawn, mode="economic")
    turned = turned * np.sign(np.diag(upper))
    return np.asarray(turned if n_rows >= n_columns else turned.T, dtype=np.float64)


class GaussianProjection(Mixed):
    """Random directions: distances are kept roughly, nothing is learned from the rows.

    Parameters
    ----------
    n_components : int, default 64
        More than the columns, too.
    random_state : int, default 0
    """

    kind: ClassVar[str] = "gaussian"
    limits: ClassVar[Mapping[str, Limit]] = {"n_components": COUNT, "random_state": SEED}

    def __init__(self, n_components: int = 64, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the directions; only the number of columns matters."""
        X = self._rows_to_fit(X)
        drawn = _drawn(GaussianRandomProjection, self.n_components, self.random_state, X.shape[1])
        self.components_: Float64 = np.ascontiguousarray(drawn.components_)
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self.components_.T)

    def affine(self) -> tuple[Any, Float64]:
        return self.components_.T, np.zeros(self._n_out())

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return self.n_components

    def _n_out(self) -> int:
        return len(self.components_)


class SparseProjection(Mixed):
    """`GaussianProjection` with mostly zeros: faster and smaller where columns are many.

    Parameters
    ----------
    n_components : int, default 64
        More than the columns, too.
    random_state : int, default 0

    References
    ----------
    Li, Hastie and Church, "Very Sparse Random Projections", 2006; as in scikit-learn's
    `SparseRandomProjection`: one column in √n_features is not zero.
    """

    kind: ClassVar[str] = "sparse"
    limits: ClassVar[Mapping[str, Limit]] = {"n_components": COUNT, "random_state": SEED}

    def __init__(self, n_components: int = 64, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the directions; only the number of columns matters."""
        X = self._rows_to_fit(X)
        drawn = _drawn(SparseRandomProjection, self.n_components, self.random_state, X.shape[1])
        matrix = csr_array(drawn.components_)
        # A sparse matrix in three arrays, as it is saved.
        self.values_: Array = matrix.data
        self.columns_: Array = matrix.indices.astype(np.int64)
        self.starts_: Array = matrix.indptr.astype(np.int64)
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self._directions().T)

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return self.n_components

    def affine(self) -> tuple[Any, Float64]:
        return self._directions().T, np.zeros(self._n_out())

    def _directions(self) -> Any:
        shape = (self._n_out(), self.n_features_in_)
        return csr_array((self.values_, self.columns_, self.starts_), shape=shape)

    def _n_out(self) -> int:
        return len(self.starts_) - 1


class OrthogonalProjection(Mixed):
    """Random directions at right angles, drawn evenly: a turn, of which the first axes are kept.

    Parameters
    ----------
    n_components : int, default 64
        More than the columns, too: the rows are then turned into a larger space.
    random_state : int, default 0

    Attributes
    ----------
    components_ : float64 array of shape (n_components, n_features)
        Rows of length √(n_features / n_components), so that the squared length of a row is kept
        on average. With as many components as columns, or more, it is the columns that are at
        right angles and of length 1: lengths and angles are kept exactly.

    Notes
    -----
    The orthonormal factor of a Gaussian matrix, its signs settled by the other factor's diagonal:
    only then is every direction equally likely.

    References
    ----------
    Mezzadri, "How to Generate Random Matrices from the Classical Compact Groups", 2007; as
    `scipy.stats.ortho_group` draws.
    """

    kind: ClassVar[str] = "orthogonal"
    limits: ClassVar[Mapping[str, Limit]] = {"n_components": COUNT, "random_state": SEED}

    def __init__(self, n_components: int = 64, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the directions; only the number of columns matters."""
        X = self._rows_to_fit(X)
        random = np.random.default_rng(self.random_state)
        turned = orthogonal(random, X.shape[1], self.n_components)
        longer = np.sqrt(max(1.0, X.shape[1] / self.n_components))
        self.components_: Float64 = np.ascontiguousarray(turned.T * longer)
        return self

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return self.n_components

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self.components_.T)

    def affine(self) -> tuple[Any, Float64]:
        return self.components_.T, np.zeros(self._n_out())

    def _n_out(self) -> int:
        return len(self.components_)


def _drawn(kind: Any, n_components: int, random_state: int, n_features: int) -> Any:
    """Return scikit-learn's projection of so many columns; more components than those are fine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataDimensionalityWarning)
        return kind(n_components, random_state=random_state).fit(np.zeros((1, n_features)))
