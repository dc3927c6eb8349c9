"""Pools trained with their head from stored maps; the backbone never runs again.

PyTorch does the work and is imported when a head is first fitted or restored.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from cutpoint.errors import DataError, MissingExtra, ShapeError, UsageError
from cutpoint.metrics import fit_temperature, softmax
from cutpoint.pooling import space_axes, warn_if_signed
from cutpoint.types import Array, Float64

_LAYOUTS = {3: "NTC", 4: "NCHW", 5: "NCDHW"}


class LearnedPoolHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """What the learned pools share; a pool says which module pools, and how X is prepared.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    module_ : torch.nn.Module
        The trained pool with its head.
    temperature_ : float
        Fitted on the inner split; 1 without one.
    losses_ : list of float
        Log-loss of the inner split after each epoch; empty without one.
    n_channels_ : int
    """

    kind: ClassVar[str]

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
        x = self._prepared(self._places(X))
        y = column_or_1d(y)
        check_consistent_length(x, y)
        check_classification_targets(y)
        self.classes_, truth = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise UsageError(
                f"{type(self).__name__} was to be fitted.",
                f"All {len(y)} rows are of 1 class: {self.classes_[0]!r}.",
                "Labels of two classes or more.",
                "Look at them with:  numpy.unique(y)",
            )
        training = _import_training()
        self.n_channels_ = x.shape[1]
        self.module_ = self._new_module()
        fitted, held = inner_split(truth, self.validation_fraction, self.random_state, groups)
        self.losses_ = training.train(self.module_, x, truth, fitted, held, self._schedule())
        self.temperature_ = (
            fit_temperature(training.scores_of(self.module_, x[held]), truth[held])
            if len(held)
            else 1.0
        )
        return self

    def decision_function(self, X: Any) -> Float64:
        """Return scores in scikit-learn's shape: (n_items,) for two classes."""
        scores = self.class_scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def class_scores(self, X: Any) -> Float64:
        """Return scores before the softmax, (n_items, n_classes)."""
        check_is_fitted(self)
        x = self._prepared(self._places(X))
        if x.shape[1] != self.n_channels_:
            raise ShapeError(
                f"{type(self).__name__} was to predict.",
                f"X has {x.shape[1]} channels: {np.shape(X)}.",
                f"Activations of {self.n_channels_} channels, as in training.",
                "Take them from the same tap, in the same layout.",
            )
        scores: Float64 = _import_training().scores_of(self.module_, x)
        return scores

    def predict(self, X: Any) -> Array:
        """Return the class of each row."""
        labels: Array = self.classes_[self.class_scores(X).argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> Float64:
        """Return probabilities, (n_items, n_classes), calibrated on the inner split."""
        return softmax(self.class_scores(X), self.temperature_)

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what `from_state` makes the same head of: JSON types, and arrays."""
        check_is_fitted(self)
        fields = {
            "kind": self.kind,
            "parameters": self.get_params(deep=False),
            "learned": {
                "classes_": self.classes_.tolist(),
                "temperature_": self.temperature_,
                "losses_": self.losses_,
                "n_channels_": self.n_channels_,
            },
        }
        arrays = {name: each.numpy().copy() for name, each in self.module_.state_dict().items()}
        return fields, arrays

    @classmethod
    def from_state(cls, fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return the fitted head that `to_state` described."""
        head = cls(**fields["parameters"])
        for name, value in fields["learned"].items():
            setattr(head, name, value)
        head.classes_ = np.array(fields["learned"]["classes_"])
        torch = _import_torch()
        head.module_ = head._new_module()
        # A copy, as what is read from a file can't be written to and PyTorch would warn of it.
        state = {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}
        head.module_.load_state_dict(state)
        return head

    def _new_module(self) -> Any:
        torch = _import_torch()
        from cutpoint.heads.pool_modules import PooledClassifier

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            pool = self._pool(self.n_channels_)
            return PooledClassifier(pool, self.n_channels_, len(self.classes_)).eval()

    def _schedule(self) -> Any:
        return _import_training().Schedule(
            max_epochs=self.max_epochs,
            patience=self.patience,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.random_state,
        )

    def _places(self, X: Any) -> Array:
        """Return X as (n_items, channels, places), once it is known to be sound."""
        x = np.asarray(X)
        layout = self.layout or _LAYOUTS.get(x.ndim, "")
        if len(layout) != x.ndim or not space_axes(layout) or x.dtype.kind not in "fiu":
            raise ShapeError(
                f"{type(self).__name__} was given activations.",
                f"X has shape {x.shape} and type {x.dtype}; the layout is {layout or 'unknown'}.",
                "Numbers, (n_items, channels, height, width) or (n_items, n_tokens, channels).",
                'Extract maps with:  pool="none"  and name other layouts:  layout="NHWC"',
            )
        first = np.transpose(x, (0, layout.index("C"), *space_axes(layout)))
        first = first.reshape(*first.shape[:2], -1)
        if first.dtype not in (np.float16, np.float32):
            first = first.astype(np.float32)
        self._check_finite(first)
        return first

    def _check_finite(self, x: Array) -> None:
        bad = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))
        if len(bad):
            raise DataError(
                f"{type(self).__name__} was given activations of {len(x)} items.",
                f"{len(bad)} hold NaN or infinity, the first in row {bad[0]}.",
                "Finite numbers; float16 ends at 65504.",
                "Leave them out with:  X[numpy.isfinite(X).all(axis=(1, 2, 3))]",
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


class GeMHead(LearnedPoolHead):
    """Generalised-mean pooling whose exponent is learned together with a linear head.

    Parameters
    ----------
    p : float, default 3.0
        Where learning starts.
    per_channel : bool, default False
        Whether each channel has an exponent of its own, or the tap has one.
    layout : str, optional
        A letter for each axis of X; NCHW or NTC if absent.
    max_epochs, patience : int
        Passes over the training rows at most; passes without progress on the inner split before
        training ends.
    batch_size : int
    learning_rate, weight_decay : float
        Of AdamW; the rate falls as a cosine. Exponents learn faster and do not decay.
    validation_fraction : float, default 0.2
        Training rows of the inner split, which says when to stop. 0: all `max_epochs` are run.
    random_state : int
        Draws weights, order and inner split.

    Notes
    -----
    Values below 1e-6 are raised to it, as in `cutpoint.pooling.pool_gem`; a warning says so where
    some are negative.

    References
    ----------
    Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018.
    """

    kind = "learned_gem"

    def __init__(
        self,
        p: float = 3.0,
        per_channel: bool = False,
        layout: str | None = None,
        max_epochs: int = 30,
        patience: int = 5,
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
        warn_if_signed("the activations/gem", X)
        return super().fit(X, y, groups)

    def _pool(self, n_channels: int) -> Any:
        from cutpoint.heads.pool_modules import GeMPool

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

    def __init__(
        self,
        n_hidden: int = 128,
        layout: str | None = None,
        max_epochs: int = 30,
        patience: int = 5,
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
        from cutpoint.heads.pool_modules import AttentionPool

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

    def __init__(
        self,
        n_queries: int = 32,
        layout: str | None = None,
        max_epochs: int = 30,
        patience: int = 5,
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
        from cutpoint.heads.pool_modules import QueryPool

        if n_channels % self.n_queries:
            fits = [n for n in range(1, self.n_queries + 1) if n_channels % n == 0]
            raise UsageError(
                f"{self.n_queries} queries were asked for.",
                f"The activations have {n_channels} channels, which can't be shared evenly.",
                f"Up to {self.n_queries} these can: {', '.join(map(str, fits))}.",
                f"Type, for example:  EfficientProbe(n_queries={fits[-1]})",
            )
        return QueryPool(n_channels, self.n_queries)


HEADS: dict[str, type[LearnedPoolHead]] = {
    each.kind: each for each in (GeMHead, AttentionPoolHead, EfficientProbe)
}
"""Name in saved files → class."""


def inner_split(
    truth: Array, fraction: float, seed: int, groups: Any = None
) -> tuple[Array, Array]:
    """Return rows to learn from, and rows that say when to stop; the latter may be none.

    There are none where `fraction` is 0, or where so few would not show every class on both sides.
    """
    rows = np.arange(len(truth))
    n_classes, n_held = len(np.unique(truth)), round(fraction * len(truth))
    if groups is not None and n_held:
        split = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
        fitted, held = next(split.split(rows, truth, groups))
    elif n_held >= n_classes and np.bincount(truth).min() >= 2:
        fitted, held = train_test_split(rows, test_size=n_held, random_state=seed, stratify=truth)
    else:
        return rows, rows[:0]
    shows_all = all(len(np.unique(truth[part])) == n_classes for part in (fitted, held))
    return (fitted, held) if shows_all else (rows, rows[:0])


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("A learned pool", "torch") from error
    return torch


def _import_training() -> Any:
    _import_torch()
    from cutpoint.heads import pool_training

    return pool_training
