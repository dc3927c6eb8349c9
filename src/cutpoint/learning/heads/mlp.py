"""A small network on vectors, trained until rows of the training split say stop."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from cutpoint.base.types import Float64
from cutpoint.learning.heads.trained import WHAT, TrainedClassifier, TrainedHead
from cutpoint.learning.heads.values import Regressor
from cutpoint.learning.shared.limits import COUNT, Limit, number
from cutpoint.learning.shared.steps import Affine, Relu, Steps, scaling
from cutpoint.networks.runtimes.torch import import_torch


class MLP(TrainedHead):
    """Centred, divided by one deviation for all columns → linear → ReLU → dropout → linear.

    Parameters
    ----------
    hidden : int, default 256
        Units between the two linear layers.
    dropout : float, 0–0.99
    max_epochs, patience : int, optional
        Passes over the training rows at most: 60, or more where 60 are fewer than 300 steps.
        Passes without progress on the inner split before training ends: 8 of 60.
    batch_size : int
    learning_rate, weight_decay : float
        For AdamW; the rate falls as a cosine.
    validation_fraction : float, default 0.2
        Training rows of the inner split, which says when to stop. 0: all `max_epochs` are run.
    random_state : int
        Draws weights, order, dropout and inner split.

    Attributes
    ----------
    held_out_scores_ : float64 array of shape (n_items, n_outputs)
        Scores of the rows of the inner split.

    Notes
    -----
    One deviation, not one per column: on frozen features of 2 to 5 items per class the z-score of
    each column cost 1 to 26 points of accuracy on the mean of six draws, and from 20 on made no
    difference beyond 0.4 (docs/benchmarks/scaling.md).
    """

    kind = "mlp"
    _epochs: ClassVar[tuple[int, int]] = (60, 8)
    limits: ClassVar[Mapping[str, Limit]] = {
        **TrainedHead.limits,
        "hidden": COUNT,
        "dropout": number(0, 0.99),
    }

    def __init__(
        self,
        hidden: int = 256,
        dropout: float = 0.2,
        max_epochs: int | None = None,
        patience: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        validation_fraction: float = 0.2,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def outputs(self, X: Any) -> Float64:
        """Return what the last layer gives, (n_items, n_outputs)."""
        x = self._rows_to_score(X).astype(np.float64)
        torch = import_torch(WHAT)
        # In float64 a row scores alone as among others; in float32 the size of a batch shows.
        module = copy.deepcopy(self.module_).double()
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(x)).numpy())

    def steps(self) -> Steps:
        layers = self.module_
        mean, deviation = _float64(layers[0].mean), _float64(layers[0].deviation)
        hidden, last = (
            Affine(_float64(each.weight).T, _float64(each.bias)) for each in (layers[1], layers[4])
        )
        return Affine(scaling(1 / deviation), -mean / deviation), hidden, Relu(), last

    def _make_module(self) -> Any:
        from torch import nn

        from cutpoint.learning.heads.pool_modules import Standardise

        n_features = self.n_features_in_
        return nn.Sequential(
            Standardise(n_features, is_shared=True),
            nn.Linear(n_features, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, self.n_outputs),
        )


class MLPHead(MLP, TrainedClassifier):
    """The network with a softmax on top: a head of classes; see `MLP`."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train on training rows; a group lies on one side of the inner split."""
        X, truth = self._rows_to_fit(X, y, groups)
        self._train_classes(X.astype(np.float32), truth, groups)
        return self


class MLPRegressor(MLP, Regressor):
    """The network on values, which it learns with mean 0 and deviation 1; see `MLP`.

    Attributes
    ----------
    mean_, scale_ : float64 array of shape (n_values,)
        Mean and deviation of the training rows' values.
    """

    mean_: Float64
    scale_: Float64

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train on training rows; a group lies on one side of the inner split."""
        X, values = self._rows_to_fit(X, y, groups)
        self.mean_, self.scale_ = values.mean(axis=0), values.std(axis=0)
        targets = ((values - self.mean_) / self.scale_).astype(np.float32)
        self._train(X.astype(np.float32), targets, np.zeros(len(X), np.int64), groups)
        self.held_out_scores_ = self.held_out_scores_ * self.scale_ + self.mean_
        return self

    def outputs(self, X: Any) -> Float64:
        """Return the values of each row, (n_items, n_values)."""
        return np.asarray(super().outputs(X) * self.scale_ + self.mean_)

    def steps(self) -> Steps:
        return (*super().steps(), Affine(scaling(self.scale_), self.mean_))

    def _check_restored(self) -> None:
        super()._check_restored()
        if not self.mean_.shape == self.scale_.shape == (self.n_values_,):
            raise ValueError(f"means {self.mean_.shape} for {self.n_values_} values")


def _float64(tensor: Any) -> Float64:
    return np.asarray(tensor.detach().numpy(), np.float64)
