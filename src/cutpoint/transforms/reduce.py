"""Fewer columns: every new one is a mixture of the old."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils.validation import check_array, validate_data

from cutpoint.errors import UsageError
from cutpoint.gram import Moments
from cutpoint.runtimes.umap import import_umap
from cutpoint.transforms.axes import Axes, axes_of_moments, axes_of_rows, n_kept
from cutpoint.transforms.base import FLOATS, LabelledTransform, Mixed, multiply
from cutpoint.transforms.training import train_autoencoder, train_projection
from cutpoint.types import Array, Float32, Float64


class PCA(Mixed):
    """Principal components, of one matrix or of a stream; float64 within.

    Parameters
    ----------
    n_components : int, float or None
        A number; the share of the variance to keep, in (0, 1); or all there are. Where the rows
        vary along fewer directions, those are kept and a warning says so.
    whiten : bool, default False
        Whether each component is divided by its deviation: ``Λ^(−1/2) Vᵀ (x − m)``.

    Attributes
    ----------
    mean_ : float64 array of shape (n_features,)
    components_ : float64 array of shape (n_components, n_features)
        The largest entry of each is positive.
    explained_variance_ : float64 array of shape (n_components,)
    explained_variance_ratio_ : float64 array of shape (n_components,)

    Notes
    -----
    More rows than columns are read once, as moments; fewer are decomposed themselves, which is
    exact for the small variances too. `fit_stream` holds (n_features, n_features) numbers and a
    block of rows, whatever their number.
    """

    kind: ClassVar[str] = "pca"

    def __init__(self, n_components: int | float | None = None, whiten: bool = False) -> None:
        self.n_components = n_components
        self.whiten = whiten

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components of rows (n_items, n_features), two or more."""
        X = self._rows_to_fit(X, n_min=2)
        if len(X) <= X.shape[1]:
            return self._keep(axes_of_rows(X))
        return self._keep(self._axes(Moments.of(X)))

    def fit_stream(self, chunks: Iterable[Array]) -> Self:
        """Learn from chunks of rows in one pass, none of them kept."""
        return self.fit_moments(Moments.of(check_array(rows, dtype=FLOATS) for rows in chunks))

    def fit_moments(self, moments: Moments) -> Self:
        """Learn from what was gathered, and perhaps merged, elsewhere."""
        self.n_features_in_ = moments.n_features
        return self._keep(self._axes(moments))

    def transform(self, X: Any) -> Array:
        """Return the components of each row, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self._projection(), self.mean_)

    def _axes(self, moments: Moments) -> Axes:
        asked = self.n_components
        return axes_of_moments(moments, asked if isinstance(asked, int) else None)

    def _keep(self, axes: Axes) -> Self:
        kept = n_kept(self.n_components, axes, self.n_features_in_)
        self.mean_: Float64 = axes.mean
        self.components_: Float64 = axes.components[:kept]
        self.explained_variance_: Float64 = axes.variances[:kept]
        self.explained_variance_ratio_: Float64 = axes.variances[:kept] / axes.total
        return self

    def _projection(self) -> Float64:
        columns = self.components_.T
        return columns / np.sqrt(self.explained_variance_) if self.whiten else columns

    def _n_out(self) -> int:
        return len(self.components_)


class RandomisedSVD(Mixed):
    """The strongest singular directions of the rows as they are, not centred; approximate, fast.

    Parameters
    ----------
    n_components : int, default 64
        At most the smaller side of the matrix, where a warning says so.
    n_iter : int, default 5
        Power iterations; more are closer to exact.
    random_state : int, default 0

    Attributes
    ----------
    components_ : array of shape (n_components, n_features)

    References
    ----------
    Halko, Martinsson and Tropp, "Finding Structure with Randomness", 2011; as in scikit-learn's
    `TruncatedSVD`.
    """

    kind: ClassVar[str] = "svd"

    def __init__(self, n_components: int = 64, n_iter: int = 5, random_state: int = 0) -> None:
        self.n_components = n_components
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the directions, in float64."""
        X = self._rows_to_fit(X, n_min=2)
        n_components = _at_most(self.n_components, min(X.shape), "singular directions")
        svd = TruncatedSVD(
            n_components,
            n_iter=self.n_iter,
            random_state=self.random_state,
            power_iteration_normalizer="QR",
        )
        with np.errstate(divide="ignore", invalid="ignore"):  # shares of no variance, not kept
            svd.fit(X.astype(np.float64))
        self.components_: Float64 = svd.components_
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self.components_.T)

    def _n_out(self) -> int:
        return len(self.components_)


class GaussianProjection(Mixed):
    """Random directions: distances are kept roughly, nothing is learned from the rows.

    Parameters
    ----------
    n_components : int, default 64
        At most the number of columns, where a warning says so.
    random_state : int, default 0
    """

    kind: ClassVar[str] = "gaussian"

    def __init__(self, n_components: int = 64, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the directions; only the number of columns matters."""
        X = self._rows_to_fit(X)
        n_components = _at_most(self.n_components, X.shape[1], "random directions")
        drawn = GaussianRandomProjection(n_components, random_state=self.random_state)
        self.components_: Float64 = drawn.fit(np.zeros((1, X.shape[1]))).components_
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self.components_.T)

    def _n_out(self) -> int:
        return len(self.components_)


class SparseProjection(Mixed):
    """`GaussianProjection` with mostly zeros: faster and smaller where columns are many.

    Parameters
    ----------
    n_components : int, default 64
        At most the number of columns, where a warning says so.
    random_state : int, default 0

    References
    ----------
    Li, Hastie and Church, "Very Sparse Random Projections", 2006; as in scikit-learn's
    `SparseRandomProjection`: one column in √n_features is not zero.
    """

    kind: ClassVar[str] = "sparse"

    def __init__(self, n_components: int = 64, random_state: int = 0) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the directions; only the number of columns matters."""
        X = self._rows_to_fit(X)
        n_components = _at_most(self.n_components, X.shape[1], "random directions")
        drawn = SparseRandomProjection(n_components, random_state=self.random_state)
        matrix = csr_array(drawn.fit(np.zeros((1, X.shape[1]))).components_)
        # A sparse matrix in three arrays, as it is saved.
        self.values_: Array = matrix.data
        self.columns_: Array = matrix.indices.astype(np.int64)
        self.starts_: Array = matrix.indptr.astype(np.int64)
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self._directions().T)

    def _directions(self) -> Any:
        shape = (self._n_out(), self.n_features_in_)
        return csr_array((self.values_, self.columns_, self.starts_), shape=shape)

    def _n_out(self) -> int:
        return len(self.starts_) - 1


class Autoencoder(Mixed):
    """The narrow middle of a small network that learned to give its input back.

    Parameters
    ----------
    n_components : int, default 64
        Width of the middle.
    n_hidden : int, default 256
        Width of the layers beside it.
    n_steps : int, default 300
        Steps of Adam on 256 rows each.
    random_state : int, default 0

    Attributes
    ----------
    mean_, scale_ : float64 array of shape (n_features,), float
        Rows are centred, and divided by one number.
    hidden_, hidden_bias_, middle_, middle_bias_ : float32 arrays
        ``tanh(x @ hidden + hidden_bias) @ middle + middle_bias``.
    loss_ : float
        Mean squared error at the last step, 1 being the variance of the rows.

    Notes
    -----
    Trains in PyTorch, transforms in NumPy: only `fit` needs the extra.
    """

    kind: ClassVar[str] = "autoencoder"

    def __init__(
        self, n_components: int = 64, n_hidden: int = 256, n_steps: int = 300, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.n_hidden = n_hidden
        self.n_steps = n_steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train encoder and decoder; the encoder is kept."""
        X = self._rows_to_fit(X, n_min=2)
        n_components = _at_most(self.n_components, X.shape[1], "encoded columns")
        self.mean_, self.scale_ = centre_and_scale(X)
        rows = ((X - self.mean_) / self.scale_).astype(np.float32)
        sizes = (self.n_hidden, n_components)
        encoder, self.loss_ = train_autoencoder(rows, sizes, self.n_steps, self.random_state)
        self.hidden_, self.hidden_bias_, self.middle_, self.middle_bias_ = encoder
        return self

    def transform(self, X: Any) -> Array:
        """Return the middle of the network, (n_items, n_components)."""
        X = self._rows_to_transform(X)
        hidden = multiply(X, self.hidden_ / np.float64(self.scale_), self.mean_)
        bent = np.tanh(hidden + self.hidden_bias_.astype(X.dtype))
        return np.asarray(multiply(bent, self.middle_) + self.middle_bias_, dtype=X.dtype)

    def _n_out(self) -> int:
        return len(self.middle_bias_)


class LearnedProjection(Mixed, LabelledTransform):
    """A linear map trained together with a softmax on top of it, which is then dropped.

    Parameters
    ----------
    n_components : int, default 64
    penalty : float, default 1e-3
        Weight of the squared weights.
    n_steps : int, default 300
        Steps of Adam on 256 rows each.
    random_state : int, default 0

    Attributes
    ----------
    mean_, scale_ : float64 array of shape (n_features,), float
        Rows are centred, and divided by one number.
    projection_ : float32 array of shape (n_features, n_components)
    loss_ : float
        Cross-entropy at the last step, nats.

    Notes
    -----
    Trains in PyTorch, transforms in NumPy: only `fit` needs the extra.
    """

    kind: ClassVar[str] = "projection"

    def __init__(
        self,
        n_components: int = 64,
        penalty: float = 1e-3,
        n_steps: int = 300,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.penalty = penalty
        self.n_steps = n_steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train projection and softmax; the projection is kept."""
        X, truth, _ = self._labelled_rows(X, y)
        n_components = _at_most(self.n_components, X.shape[1], "projected columns")
        self.mean_, self.scale_ = centre_and_scale(X)
        rows = ((X - self.mean_) / self.scale_).astype(np.float32)
        self.projection_, self.loss_ = train_projection(
            rows, truth, n_components, self.penalty, self.n_steps, self.random_state
        )
        return self

    def transform(self, X: Any) -> Array:
        """Return the projected rows, (n_items, n_components)."""
        X = self._rows_to_transform(X)
        return multiply(X, self.projection_ / np.float64(self.scale_), self.mean_)

    def _n_out(self) -> int:
        return int(self.projection_.shape[1])


class UMAP(Mixed):
    """Neighbourhoods laid out in few dimensions, by umap-learn.

    Parameters
    ----------
    n_components : int, default 2
    n_neighbors : int, default 15
        Size of a neighbourhood; at most the number of training rows less one, where a warning
        says so.
    min_dist : float, default 0.1
        How close points may lie in the layout.
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
        self.rows_: Float32 = X.astype(np.float32)
        self.n_neighbors_ = _at_most(self.n_neighbors, len(X) - 1, "neighbours")
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
        places = np.einsum("nk,nkd->nd", weights, self.embedding_[near].astype(np.float64))
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

    def __init__(
        self, n_components: int = 2, perplexity: float = 30.0, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.perplexity = perplexity
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay out the rows."""
        X = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        self.embedding_: Array = TSNE(
            self.n_components,
            perplexity=_at_most(
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
            "New rows were to be transformed by t-SNE.",
            "t-SNE lays out the rows it is given and learns no map for others.",
            "A picture of all rows at once; for features: PCA, UMAP, a projection.",
            "Type, for example:  TSNEPicture().fit_transform(X)",
        )


def centre_and_scale(X: Array) -> tuple[Float64, float]:
    """Return the mean of each column, and the deviation over all of them, 1 if there is none."""
    mean = X.mean(axis=0, dtype=np.float64)
    deviation = float(np.sqrt(np.square(X - mean).mean()))
    return mean, deviation or 1.0


def _at_most(asked: Any, limit: Any, what: str) -> Any:
    """Return `asked`, or `limit` with a warning if that is less."""
    if not asked > 0:
        raise UsageError(
            f"{asked} {what} were asked for.",
            "It is not positive.",
            f"A number from 1 to {limit}.",
            f"Type, for example:  {min(limit, 64)}",
        )
    if asked > limit:
        warnings.warn(f"{asked} {what} were asked for; {limit} are possible.", stacklevel=3)
    return min(asked, limit)
