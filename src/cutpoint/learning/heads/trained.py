"""What heads trained by PyTorch share; it is imported when one is first fitted or restored."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.utils.validation import check_is_fitted

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.base import Head
from cutpoint.learning.heads.classes import Classifier
from cutpoint.learning.shared.limits import (
    COUNT,
    MANY,
    RATE,
    SEED,
    TWO_OR_MORE,
    UP_TO_ONE,
    Limit,
    number,
)
from cutpoint.networks.runtimes.torch import import_torch
from cutpoint.networks.training import Schedule, own_lots

MIN_STEPS = 300
"""The optimiser's, unless `max_epochs` says otherwise: few rows are one or two batches a pass."""
MAX_TEMPERATURE = 1e3  # the bound of `fit_temperature`
_MODULE = "module."
WHAT = "A head trained by PyTorch"


class UntaughtWarning(UserWarning):
    """A trained head that says nothing about rows it was not trained on."""


class TrainedHead(Head):
    """A head that is a PyTorch module, trained until an inner split says stop.

    Parameters
    ----------
    max_epochs, patience : int, optional
        Passes over the training rows at most; passes without progress on the inner split before
        training ends. By default as the head says, and so many more where few rows make fewer than
        300 steps of them.
    batch_size : int
    learning_rate, weight_decay : float
        For AdamW; the rate falls as a cosine.
    validation_fraction : float
        Training rows of the inner split, which says when to stop. 0: all `max_epochs` are run.
    random_state : int
        Draws weights, order and inner split.

    Attributes
    ----------
    module_ : torch.nn.Module
        Trained.
    losses_ : list of float
        Log-loss, of values the squared error, of the inner split after each epoch; empty without
        one.
    max_epochs_ : int
        Passes at most, as they were counted.
    """

    _unsaved: ClassVar[tuple[str, ...]] = (*Head._unsaved, "module_")
    _epochs: ClassVar[tuple[int, int]]
    """Passes by default, and those of them without progress."""
    limits: ClassVar[Mapping[str, Limit]] = {
        "max_epochs": COUNT.or_none.like(60),
        "patience": MANY.or_none.like(8),
        "batch_size": TWO_OR_MORE,
        "learning_rate": RATE,
        "weight_decay": UP_TO_ONE,
        "validation_fraction": number(0, 0.9),
        "random_state": SEED,
    }
    module_: Any
    losses_: list[float]
    max_epochs_: int
    max_epochs: int | None
    patience: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    random_state: int

    @abstractmethod
    def _make_module(self) -> Any:
        """Return the untrained module."""

    @property
    def chosen(self) -> dict[str, Any]:
        best = int(np.argmin(self.losses_)) + 1 if len(self.losses_) else self.max_epochs_
        return {"n_epochs": best}

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what `from_state` makes the same head of: JSON types, and arrays."""
        fields, arrays = super().to_state()
        weights = self.module_.state_dict().items()
        return fields, arrays | {_MODULE + name: each.numpy().copy() for name, each in weights}

    @classmethod
    def from_state(cls, fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return the fitted head that `to_state` described."""
        weights = {n: array for n, array in arrays.items() if n.startswith(_MODULE)}
        head = super().from_state(fields, {n: a for n, a in arrays.items() if n not in weights})
        torch = import_torch(WHAT)
        head.module_ = head._new_module()
        # A copy, as what is read from a file can't be written to and PyTorch would warn of it.
        state = {n.removeprefix(_MODULE): torch.from_numpy(np.array(a)) for n, a in weights.items()}
        head.module_.load_state_dict(state)
        return head

    def _train(self, x: Array, targets: Array, strata: Array, groups: Any) -> Array:
        """Train the module; return the rows of the inner split, which is even in `strata`."""
        training = import_training()
        self.module_ = self._new_module()
        fitted, held = inner_split(strata, self.validation_fraction, self.random_state, groups)
        schedule = self._schedule(len(fitted))
        self.max_epochs_ = schedule.n_rounds
        training.settle(self.module_, x[fitted])
        rows = training.Rows(x, targets, fitted, held)
        self.losses_ = list(training.fit_module(self.module_, rows, schedule, self.batch_size))
        self.held_out_scores_ = np.full((len(x), self.n_outputs), np.nan)
        if len(held):
            self.held_out_scores_[held] = self._scores_of(x[held])
        return held

    def _scores_of(self, x: Array) -> Float64:
        check_is_fitted(self)
        scores: Float64 = import_training().scores_of(self.module_, x)
        return scores

    def _new_module(self) -> Any:
        with own_lots(self.random_state):
            return self._make_module().eval()

    def _schedule(self, n_rows: int) -> Schedule:
        training = import_training()
        usual, usual_patience = self._epochs
        needed = math.ceil(MIN_STEPS / training.n_batches(n_rows, self.batch_size))
        epochs = max(usual, needed) if self.max_epochs is None else self.max_epochs
        scaled = max(usual_patience, round(usual_patience * epochs / usual))
        return Schedule(
            n_rounds=epochs,
            rate=self.learning_rate,
            decay=self.weight_decay,
            patience=scaled if self.patience is None else self.patience,
            seed=self.random_state,
        )


class TrainedClassifier(TrainedHead, Classifier):
    """A trained head of classes; it warns where it tells nothing about its inner split."""

    def _train_classes(self, x: Array, truth: Array, groups: Any) -> None:
        held = self._train(x, truth, truth, groups)
        self._calibrate(truth)
        if self.temperature_ > 0.99 * MAX_TEMPERATURE:
            warnings.warn(
                f"{self.kind} tells nothing about the {len(held)} rows of its inner split, so its "
                "probabilities are all alike: more rows, more max_epochs or another head may help",
                UntaughtWarning,
                stacklevel=3,
            )


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


def import_training() -> Any:
    """Return `pool_training`, which imports PyTorch."""
    import_torch(WHAT)
    from cutpoint.learning.heads import pool_training

    return pool_training
