"""Pools trained with a head from stored maps; the backbone never runs again.

Each is a head, and a stage of a recipe: what its pool alone gives goes on to other stages.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Float32, Float64, check_finite
from cutpoint.learning.heads.base import check_groups
from cutpoint.learning.heads.trained import TrainedClassifier, TrainedHead, import_training
from cutpoint.learning.shared.limits import COUNT, POSITIVE, Limit
from cutpoint.networks.pooling import SignedActivationWarning, space_axes

_LAYOUTS = {3: "NTC", 4: "NCHW", 5: "NCDHW"}
LAYOUTS = ("NTC", "NCT", "NCHW", "NHWC", "NCDHW", "NDHWC")


class LearnedPoolHead(TrainedClassifier):
    """What the learned pools share; a pool says which module pools, and how X is prepared.

    Attributes
    ----------
    n_channels_ : int
    """

    takes: ClassVar[str] = "maps"
    stays: ClassVar[str] = "it is a PyTorch module on whole maps"
    _is_scaled: ClassVar[bool] = True
    _epochs: ClassVar[tuple[int, int]] = (30, 5)
    layout: str | None
    n_channels_: int

    @abstractmethod
    def _pool(self, n_channels: int) -> Any:
        """Return the untrained pool for so many channels."""

    def _prepared(self, X: Array) -> Array:
        """Return X, (n_items, channels, places), as the pool takes it."""
        return X

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train pool and head on training rows.

        Parameters
        ----------
        X : array of shape (n_items, channels, height, width) or (n_items, n_tokens, channels)
            Or as `layout` says; float16 or float32.
        y : array of shape (n_items,)
            Class labels, two or more.
        groups : array of shape (n_items,), optional
            Rows of one group stay on one side of the inner split.

        Raises
        ------
        ShapeError, DataError
            If X is of another shape, or holds NaN or infinity.
        """
        self.check_parameters()
        x = self._prepared(self._places(X))
        y = column_or_1d(y)
        check_consistent_length(x, y)
        check_classification_targets(y)
        truth = self._learn_classes(y)
        check_groups(groups, len(truth))
        self.n_channels_ = x.shape[1]
        self._train_classes(x, truth, groups)
        return self

    def outputs(self, X: Any) -> Float64:
        """Return scores before the softmax, (n_items, n_classes)."""
        return self._scores_of(self._checked(X))

    def transform(self, X: Any) -> Float32:
        """Return what the pool alone gives, (n_items, n_channels): a stage of a recipe."""
        x = self._checked(X)
        return np.asarray(import_training().pooled_of(self.module_, x), np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return ``kind[i]`` for each column of `transform`; `input_features` is not used."""
        check_is_fitted(self)
        return np.array([f"{self.kind}[{i}]" for i in range(self.n_channels_)], dtype=object)

    def check_channels(self, n_channels: int) -> None:
        """Raise `UsageError` if so many channels can't be pooled; before any work."""

    def width_of(self, n_features: int, n_rows: int | None) -> int | None:
        """Return the columns `transform` makes of so many channels: as many."""
        return n_features

    def check_restored(self) -> int:
        """Return the number of columns `transform` makes; raise ValueError if they are not sound.

        One place of zeros goes through the pool.
        """
        layout = self.layout or "NCHW"
        shape = [self.n_channels_ if letter == "C" else 1 for letter in layout]
        made = self.transform(np.zeros(shape, np.float32))
        if made.shape != (1, self.n_channels_) or not np.isfinite(made).all():
            raise ValueError(f"{self.kind} holds NaN or infinity")
        return self.n_channels_

    def _checked(self, X: Any) -> Array:
        """Return X as the fitted pool takes it."""
        check_is_fitted(self)
        x = self._prepared(self._places(X))
        if x.shape[1] != self.n_channels_:
            raise ShapeError(
                f"{type(self).__name__} can't predict from {x.shape[1]} channels.",
                f"X has shape {np.shape(X)}.",
                f"Activations of {self.n_channels_} channels, as in training.",
                "Take them from the same tap, in the same layout.",
            )
        return x

    def _make_module(self) -> Any:
        from cutpoint.learning.heads.pool_modules import PooledClassifier

        pool = self._pool(self.n_channels_)
        return PooledClassifier(pool, self.n_channels_, len(self.classes_), self._is_scaled)

    def _places(self, X: Any) -> Array:
        """Return X as (n_items, channels, places), once it is known to be sound."""
        x = _as_array(X, type(self).__name__)
        layout = self.layout or _LAYOUTS.get(x.ndim, "")
        if layout not in LAYOUTS or len(layout) != x.ndim or x.dtype.kind not in "fiu":
            raise ShapeError(
                f"{type(self).__name__} can't take X of shape {x.shape} and type {x.dtype}.",
                f"The layout is {layout or 'unknown'}; layouts: {', '.join(LAYOUTS)}.",
                "Numbers, (n_items, channels, height, width) or (n_items, n_tokens, channels).",
                f"Extract maps with:  {option('pool', 'none')}   and name other layouts:  "
                f"{option('head', f'{self.kind}(layout=NHWC)')}",
            )
        first = np.transpose(x, (0, layout.index("C"), *space_axes(layout)))
        first = first.reshape(*first.shape[:2], -1)
        if first.dtype not in (np.float16, np.float32):
            first = first.astype(np.float32)
        check_finite(x, f"X of {type(self).__name__}")
        return first

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


def _as_array(X: Any, name: str) -> Array:
    """Return X as one array; raise `ShapeError` for rows that differ in length."""
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ShapeError(
            f"{name} can't take rows that differ in length.",
            f"{len(X)} rows are no one array: {error}.",
            "Maps of one size, as the pool grid(n) keeps of maps and of time.",
            f"Extract them with:  {option('pool', 'grid(4)')}   and type:  features.X(tap)",
        ) from error


class GeMHead(LearnedPoolHead):
    """Generalised-mean pooling whose exponent is learned together with a linear head.

    Parameters
    ----------
    p : float, default 3.0
        Where learning starts.
    per_channel : bool, default False
        Whether each channel has an exponent of its own, or the tap has one.
    layout : str, optional
        A letter for each axis of X: NTC, NCT, NCHW, NHWC, NCDHW or NDHWC; by default NTC, NCHW or
        NCDHW.
    max_epochs, patience : int, optional
        Passes over the training rows at most: 30, or more where 30 are fewer than 300 steps.
        Passes without progress on the inner split before training ends: 5 of 30.
    batch_size : int
    learning_rate, weight_decay : float
        For AdamW; the rate falls as a cosine. Exponents learn faster and do not decay.
    validation_fraction : float, default 0.2
        Training rows of the inner split, which says when to stop. 0: all `max_epochs` are run.
    random_state : int
        Draws weights, order and inner split.

    Notes
    -----
    Values below 1e-6 are raised to it, as in `pool_gem`; a warning says so where
    some are negative.

    References
    ----------
    Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018.
    """

    kind = "learned_gem"
    _is_scaled = False  # its logarithms are of the values as they are
    limits: ClassVar[Mapping[str, Limit]] = {
        **TrainedHead.limits,
        "p": POSITIVE,
    }

    def __init__(
        self,
        p: float = 3.0,
        per_channel: bool = False,
        layout: str | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.p = p
        self.per_channel = per_channel
        self.layout = layout
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @property
    def p_(self) -> Float64:
        """Learned exponents: one, or one a channel."""
        check_is_fitted(self)
        logs = self.module_.pool.log_p.detach().numpy()[:, 0]
        return np.asarray(np.exp(logs.astype(np.float64)))

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """As in `LearnedPoolHead.fit`; warns if values are negative, as GeM loses those."""
        if (_as_array(X, type(self).__name__) < 0).any():
            lost = "values below zero are lost, it raises them to 1e-6"
            kept = "attention_pool and efficient_probe keep them"
            warnings.warn(f"{self.kind}: {lost}; {kept}", SignedActivationWarning, stacklevel=2)
        return super().fit(X, y, groups)

    def _pool(self, n_channels: int) -> Any:
        from cutpoint.learning.heads.pool_modules import GeMPool

        return GeMPool(n_channels if self.per_channel else 1, self.p)

    def _prepared(self, X: Array) -> Array:
        """Return logarithms, taken once for all epochs."""
        return np.log(np.maximum(X, np.float32(1e-6), dtype=np.float32))


class AttentionPoolHead(LearnedPoolHead):
    """Attention over places (convolution, ReLU, convolution, softmax) with a linear head.

    Parameters
    ----------
    n_hidden : int, default 128
        Channels between the two 1 × 1 convolutions.
    layout, max_epochs, patience, batch_size, learning_rate, weight_decay
        As in `GeMHead`.
    validation_fraction, random_state
        As in `GeMHead`.

    References
    ----------
    Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate", 2015,
    for the form; Ilse et al., "Attention-based Deep Multiple Instance Learning", 2018, for pooling.
    """

    kind = "attention_pool"
    limits: ClassVar[Mapping[str, Limit]] = {**TrainedHead.limits, "n_hidden": COUNT}

    def __init__(
        self,
        n_hidden: int = 128,
        layout: str | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.n_hidden = n_hidden
        self.layout = layout
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _pool(self, n_channels: int) -> Any:
        from cutpoint.learning.heads.pool_modules import AttentionPool

        return AttentionPool(n_channels, self.n_hidden)


class EfficientProbe(LearnedPoolHead):
    """Multi-query attention without key projection; for networks whose mean says little.

    Parameters
    ----------
    n_queries : int, default 32
        Must divide the number of channels: each gives so large a share of the vector.
    layout, max_epochs, patience, batch_size, learning_rate, weight_decay
        As in `GeMHead`.
    validation_fraction, random_state
        As in `GeMHead`.

    References
    ----------
    Psomas et al., "Attention, Please! Revisiting Attentive Probing Through the Lens of
    Efficiency", 2025.
    """

    kind = "efficient_probe"
    limits: ClassVar[Mapping[str, Limit]] = {**TrainedHead.limits, "n_queries": COUNT}

    def __init__(
        self,
        n_queries: int = 32,
        layout: str | None = None,
        max_epochs: int | None = None,
        patience: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.n_queries = n_queries
        self.layout = layout
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _pool(self, n_channels: int) -> Any:
        from cutpoint.learning.heads.pool_modules import QueryPool

        self.check_channels(n_channels)
        return QueryPool(n_channels, self.n_queries)

    def check_channels(self, n_channels: int) -> None:
        if n_channels % self.n_queries:
            fits = [n for n in range(1, self.n_queries + 1) if n_channels % n == 0]
            raise UsageError(
                f"{self.n_queries} queries can't share {n_channels} channels evenly.",
                f"The activations have {n_channels} channels, which can't be shared evenly.",
                f"Up to {self.n_queries} these can: {', '.join(map(str, fits))}.",
                f"Type, for example:  {option('head', f'efficient_probe({fits[-1]})')}   or, in a "
                f"recipe:  efficient_probe({fits[-1]})",
            )
