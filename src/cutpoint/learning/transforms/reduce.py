"""Columns that are mixtures of the old, in most cases fewer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.utils.validation import check_array, check_is_fitted

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.types import Array, Float64, check_finite
from cutpoint.learning.gram import Moments
from cutpoint.learning.shared.limits import (
    COUNT,
    MANY,
    SEED,
    SHARE_OR_COUNT,
    WEIGHT,
    Limit,
    check_parameters,
    is_whole,
    one_of,
)
from cutpoint.learning.shared.steps import Affine, Steps, Tanh
from cutpoint.learning.transforms.axes import Axes, axes_of_moments, axes_of_rows, n_kept
from cutpoint.learning.transforms.base import (
    FLOATS,
    LabelledTransform,
    Mixed,
    at_most,
    finite_chunks,
    multiply,
)
from cutpoint.learning.transforms.training import STARTS, train_autoencoder, train_projection


class PCA(Mixed):
    """Principal components, of one matrix or of a stream; float64 within.

    Parameters
    ----------
    n_components : int, float or None
        A number; the share of the variance to keep, in (0, 1], 1.0 being all; or all there are.
        Where the rows vary along fewer directions, those are kept and a warning says so.
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
    limits: ClassVar[Mapping[str, Limit]] = {"n_components": SHARE_OR_COUNT.or_none}

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
        return self.fit_moments(Moments.of(finite_chunks(chunks, "PCA")))

    def fit_moments(self, moments: Moments) -> Self:
        """Learn from what was gathered, and perhaps merged, elsewhere."""
        check_parameters(self)
        self.n_features_in_ = moments.n_features
        return self._keep(self._axes(moments))

    def transform(self, X: Any) -> Array:
        """Return the components of each row, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self._projection(), self.mean_)

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        asked = self.n_components
        if n_rows is None or not is_whole(asked):
            return None
        return min(int(asked), n_features, n_rows - 1)

    def _axes(self, moments: Moments) -> Axes:
        asked = self.n_components
        return axes_of_moments(moments, int(asked) if is_whole(asked) else None)

    def _keep(self, axes: Axes) -> Self:
        kept = n_kept(self.n_components, axes)
        self.mean_: Float64 = axes.mean
        self.components_: Float64 = axes.components[:kept]
        self.explained_variance_: Float64 = axes.variances[:kept]
        self.explained_variance_ratio_: Float64 = axes.variances[:kept] / axes.total
        return self

    def affine(self) -> tuple[Any, Float64]:
        return self._projection(), -self.mean_ @ self._projection()

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
    limits: ClassVar[Mapping[str, Limit]] = {
        "n_components": COUNT,
        "n_iter": MANY,
        "random_state": SEED,
    }

    def __init__(self, n_components: int = 64, n_iter: int = 5, random_state: int = 0) -> None:
        self.n_components = n_components
        self.n_iter = n_iter
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the directions, in float64."""
        X = self._rows_to_fit(X, n_min=2)
        n_components = at_most(self.n_components, min(X.shape), "singular directions")
        svd = TruncatedSVD(
            n_components,
            n_iter=self.n_iter,
            random_state=self.random_state,
            power_iteration_normalizer="QR",
        )
        with np.errstate(divide="ignore", invalid="ignore"):  # shares of no variance, not kept
            svd.fit(X.astype(np.float64))
        # In the layout it is loaded in, or the last digit would differ.
        self.components_: Float64 = np.ascontiguousarray(svd.components_)
        return self

    def transform(self, X: Any) -> Array:
        """Return the rows along each direction, (n_items, n_components)."""
        return multiply(self._rows_to_transform(X), self.components_.T)

    def affine(self) -> tuple[Any, Float64]:
        return self.components_.T, np.zeros(self._n_out())

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return None if n_rows is None else min(self.n_components, n_features, n_rows)

    def _n_out(self) -> int:
        return len(self.components_)


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
    unfolded_, unfolded_bias_, output_, output_bias_ : float32 arrays
        The way back: ``tanh(z @ unfolded + unfolded_bias) @ output + output_bias``.
    loss_ : float
        Mean squared error at the last step, 1 being the variance of the rows.

    Notes
    -----
    Trains in PyTorch, transforms in NumPy: only `fit` needs the extra.
    """

    kind: ClassVar[str] = "autoencoder"
    limits: ClassVar[Mapping[str, Limit]] = {
        "n_components": COUNT,
        "n_hidden": COUNT,
        "n_steps": COUNT,
        "random_state": SEED,
    }

    def __init__(
        self, n_components: int = 64, n_hidden: int = 256, n_steps: int = 300, random_state: int = 0
    ) -> None:
        self.n_components = n_components
        self.n_hidden = n_hidden
        self.n_steps = n_steps
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train encoder and decoder."""
        X = self._rows_to_fit(X, n_min=2)
        n_components = at_most(self.n_components, X.shape[1], "encoded columns")
        self.mean_, self.scale_ = centre_and_scale(X)
        rows = ((X - self.mean_) / self.scale_).astype(np.float32)
        sizes = (self.n_hidden, n_components)
        weights, self.loss_ = train_autoencoder(rows, sizes, self.n_steps, self.random_state)
        self.hidden_, self.hidden_bias_, self.middle_, self.middle_bias_ = weights[:4]
        self.unfolded_, self.unfolded_bias_, self.output_, self.output_bias_ = weights[4:]
        return self

    def transform(self, X: Any) -> Array:
        """Return the middle of the network, (n_items, n_components)."""
        X = self._rows_to_transform(X)
        hidden = multiply(X, self.hidden_ / np.float64(self.scale_), self.mean_)
        bent = np.tanh(hidden + self.hidden_bias_.astype(X.dtype))
        return np.asarray(multiply(bent, self.middle_) + self.middle_bias_, dtype=X.dtype)

    def steps(self) -> Steps:
        hidden = self.hidden_ / np.float64(self.scale_)
        return (
            Affine(hidden, self.hidden_bias_ - self.mean_ @ hidden),
            Tanh(),
            Affine(self.middle_.astype(np.float64), self.middle_bias_.astype(np.float64)),
        )

    def inverse_transform(self, X: Any) -> Array:
        """Return the rows that encoded ones (n_items, n_components) stand for.

        Raises
        ------
        UsageError
            If it was saved by a release that kept no decoder.
        """
        check_is_fitted(self)
        if not hasattr(self, "output_"):
            raise UsageError(
                "This autoencoder can't reconstruct rows: its decoder was not kept.",
                "It was fitted and saved by an earlier release, with its encoder alone.",
                "An autoencoder fitted by this release.",
                "Fit it again with:  Autoencoder().fit(X)",
            )
        rows = check_array(X, dtype=FLOATS, ensure_all_finite=False)
        check_finite(rows, "X of encoded rows")
        if rows.shape[1] != self._n_out():
            raise ShapeError(
                f"Rows of {rows.shape[1]} columns can't be decoded.",
                f"They have shape {rows.shape}.",
                f"Encoded rows, (n_items, {self._n_out()}).",
                "Take what it gave:  autoencoder.transform(X)",
            )
        bent = np.tanh(multiply(rows, self.unfolded_) + self.unfolded_bias_.astype(rows.dtype))
        found = (multiply(bent, self.output_) + self.output_bias_) * self.scale_ + self.mean_
        return np.asarray(found, dtype=rows.dtype)

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return min(self.n_components, n_features)

    def _n_out(self) -> int:
        return len(self.middle_bias_)


class LearnedProjection(Mixed, LabelledTransform):
    """A linear map trained together with a softmax on top of it, which is then dropped.

    Parameters
    ----------
    n_components : int, default 64
        More than the columns, too: taps of any width come to a common one.
    penalty : float, default 1e-3
        Weight of the squared weights.
    n_steps : int, default 300
        Steps of Adam on 256 rows each.
    random_state : int, default 0
    init : {"normal", "orthogonal", "xavier"}, default "normal"
        Where training starts: normal values of deviation 1/√n_features; orthonormal columns, or
        rows where those are fewer; even values within ±√(6 / (n_features + n_components)).

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

    References
    ----------
    Saxe et al., "Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Neural
    Networks", 2014 (orthogonal); Glorot and Bengio, "Understanding the Difficulty of Training Deep
    Feedforward Neural Networks", 2010 (xavier).
    """

    kind: ClassVar[str] = "projection"
    limits: ClassVar[Mapping[str, Limit]] = {
        "n_components": COUNT,
        "penalty": WEIGHT,
        "n_steps": COUNT,
        "random_state": SEED,
        "init": one_of(*STARTS),
    }

    def __init__(
        self,
        n_components: int = 64,
        penalty: float = 1e-3,
        n_steps: int = 300,
        random_state: int = 0,
        init: str = "normal",
    ) -> None:
        self.n_components = n_components
        self.penalty = penalty
        self.n_steps = n_steps
        self.random_state = random_state
        self.init = init

    def fit(self, X: Any, y: Any) -> Self:
        """Train projection and softmax; the projection is kept."""
        X, truth, _ = self._labelled_rows(X, y)
        self.mean_, self.scale_ = centre_and_scale(X)
        rows = ((X - self.mean_) / self.scale_).astype(np.float32)
        self.projection_, self.loss_ = train_projection(
            rows,
            truth,
            self.n_components,
            self.penalty,
            self.n_steps,
            self.random_state,
            self.init,
        )
        return self

    def transform(self, X: Any) -> Array:
        """Return the projected rows, (n_items, n_components)."""
        X = self._rows_to_transform(X)
        return multiply(X, self.projection_ / np.float64(self.scale_), self.mean_)

    def affine(self) -> tuple[Any, Float64]:
        projection = self.projection_ / np.float64(self.scale_)
        return projection, -self.mean_ @ projection

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        return self.n_components

    def _n_out(self) -> int:
        return int(self.projection_.shape[1])


def centre_and_scale(X: Array) -> tuple[Float64, float]:
    """Return the mean of each column, and the deviation over all of them, 1 if there is none."""
    mean = X.mean(axis=0, dtype=np.float64)
    deviation = float(np.sqrt(np.square(X - mean).mean()))
    return mean, deviation or 1.0
