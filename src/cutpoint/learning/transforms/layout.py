"""Neighbourhoods laid out in few dimensions: UMAP for features, t-SNE for pictures only."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float32, Float64
from cutpoint.learning.shared.limits import (
    COUNT,
    POSITIVE,
    SEED,
    TWO_OR_MORE,
    UP_TO_ONE,
    Limit,
    check_parameters,
)
from cutpoint.learning.transforms.base import Mixed, at_most, finite_rows
from cutpoint.networks.runtimes.umap import import_umap


class UMAP(Mixed):
    """Neighbourhoods laid out in few dimensions, by umap-learn.

    Parameters
    ----------
    n_components : int, default 2
    n_neighbors : int, default 15
        Size of a neighbourhood; at most the number of training rows less one, where a warning
        says so.
    min_dist : float, default 0.1
        How close points may lie in the layout, 0–1.
    random_state : int, default 0

    Attributes
    ----------
    rows_ : float32 array of shape (n_items, n_features)
        The training rows: new ones are placed beside them.
    embedding_ : float32 array of shape (n_items, n_components)

    Notes
    -----
    A new row is placed at the mean of its neighbours' places, weighted by UMAP's memberships; a
    training row keeps its place. umap-learn then moves new rows on by random descent; that is
    left out, because a row's place would depend on the rows it came with.

    References
    ----------
    McInnes, Healy and Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018.
    """

    kind: ClassVar[str] = "umap"
    stays: ClassVar[str] = "a row gets its place from its neighbours among the training rows"
    limits: ClassVar[Mapping[str, Limit]] = {
        "n_components": COUNT,
        "n_neighbors": TWO_OR_MORE,
        "min_dist": UP_TO_ONE,
        "random_state": SEED,
    }

    def __init__(
        self,
        n_components: int = 2,
        n_neighbors: int = 15,
        min_dist: float = 0.1,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.min_dist = min_dist
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay out the training rows."""
        X = self._rows_to_fit(X, n_min=4)
        if (X[0] == X).all():
            raise UsageError(
                "Rows that are all equal can't be laid out by umap.",
                f"{len(X)} rows have no neighbourhoods.",
                "Rows that differ.",
                "Look at them with:  X.std(axis=0)",
            )
        self.rows_: Float32 = X.astype(np.float32)
        self.n_neighbors_ = at_most(self.n_neighbors, len(X) - 1, "neighbours")
        model = import_umap().UMAP(
            n_components=self.n_components,
            n_neighbors=self.n_neighbors_,
            min_dist=self.min_dist,
            random_state=self.random_state,
            n_jobs=1,  # what a seed asks for
            # Its spectral start gave two layouts for one seed (umap-learn 0.5.12, 30 rows).
            init="pca" if min(X.shape) >= self.n_components else "random",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of slow eigensolvers and deprecated names
            self.embedding_: Float32 = np.ascontiguousarray(model.fit_transform(self.rows_))
        return self

    def transform(self, X: Any) -> Array:
        """Return the place of each row, (n_items, n_components)."""
        X = self._rows_to_transform(X)
        distances, near = self._neighbours(X.astype(np.float32))
        weights = _memberships(distances, near)
        places = np.einsum("rk,rkc->rc", weights, self.embedding_[near].astype(np.float64))
        is_known = distances[:, 0] == 0
        places[is_known] = self.embedding_[near[is_known, 0]]
        return np.asarray(places, dtype=X.dtype)

    def _neighbours(self, rows: Float32) -> tuple[Float32, Array]:
        """Return distances, ascending, and row numbers, both (n_items, n_neighbors)."""
        search = NearestNeighbors(n_neighbors=self.n_neighbors_).fit(self.rows_)
        near = search.kneighbors(rows, return_distance=False)
        # Again by differences: products round a distance of 0 to something else.
        apart = [np.linalg.norm(self.rows_[n] - row, axis=1) for row, n in zip(rows, near)]  # noqa: B905
        distances = np.array(apart, dtype=np.float32)
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(near, order, 1)

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return self.n_components

    def check_restored(self) -> int:
        """As of every transform, without umap-learn, which takes seconds to import."""
        shape = (len(self.embedding_), self.n_features_in_)
        fits = self.rows_.shape == shape and 0 < self.n_neighbors_ <= shape[0]
        if not fits or not np.isfinite(self.rows_).all() or not np.isfinite(self.embedding_).all():
            raise ValueError(f"umap holds {shape[0]} places for rows {self.rows_.shape}")
        return self._n_out()

    def _n_out(self) -> int:
        return int(self.embedding_.shape[1])


def _memberships(distances: Float32, near: Array) -> Float64:
    """Return how much each neighbour counts, rows adding up to 1; as `umap.UMAP.transform`."""
    umap = import_umap()
    sigmas, rhos = umap.smooth_knn_dist(
        distances, float(distances.shape[1]), local_connectivity=0.0
    )
    _, _, weights, _ = umap.compute_membership_strengths(
        near.astype(np.int32), distances, sigmas, rhos, bipartite=True
    )
    weights = weights.reshape(near.shape).astype(np.float64)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


class PictureOnly(UsageError, AttributeError):
    """New rows can't be placed; an AttributeError, so that no pipeline takes it for a transform."""


class TSNEPicture(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """t-SNE of the rows at hand, for a picture: it has no place for any other row.

    Parameters
    ----------
    n_components : int, default 2
    perplexity : float, default 30.0
        Size of a neighbourhood; at most a third of the rows less one, where a warning says so.
    random_state : int, default 0

    Attributes
    ----------
    embedding_ : array of shape (n_items, n_components)

    References
    ----------
    van der Maaten and Hinton, "Visualizing Data using t-SNE", 2008; as in scikit-learn's `TSNE`.
    """

    kind: ClassVar[str] = "TSNEPicture"
    limits: ClassVar[Mapping[str, Limit]] = {
        "n_components": COUNT,
        "perplexity": POSITIVE,
        "random_state": SEED,
    }

    def __init__(
        self, n_components: int = 2, perplexity: float = 30.0, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay out the rows."""
        check_parameters(self)
        X = finite_rows(self, X, ensure_min_samples=2)
        self.embedding_: Array = TSNE(
            self.n_components,
            perplexity=at_most(
                self.perplexity, max(1.0, (len(X) - 1) / 3), "neighbours (perplexity)"
            ),
            random_state=self.random_state,
            init="pca" if min(X.shape) >= self.n_components else "random",
        ).fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Return the place of each row, (n_items, n_components)."""
        return self.fit(X).embedding_

    @property
    def transform(self) -> Any:
        """Raise `UsageError`: t-SNE has no map for new rows."""
        raise PictureOnly(
            "t-SNE can't transform new rows.",
            "t-SNE lays out the rows it is given and learns no map for others.",
            "A picture of all rows at once; for features: PCA, UMAP, a projection.",
            "Type, for example:  TSNEPicture().fit_transform(X)",
        )
