"""Training of a pool with its linear head on activations that are in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.pool_modules import PooledClassifier, Standardise
from cutpoint.networks.training import Schedule, train

_P_RATE = 20.0
"""An exponent learns so many times faster: it has to go from 3 to 1 or 10 in some hundred steps."""


@dataclass(frozen=True)
class Rows:
    """What a head is trained on.

    Attributes
    ----------
    X : array of shape (n_items, channels, places) or (n_items, n_features)
        float16 or float32; taken to float32 a batch at a time.
    targets : array of shape (n_items,) or (n_items, n_targets)
        Class numbers, or float32 values.
    fitted, held : int arrays
        Rows to learn from; rows that say when to stop. Without held rows all passes are run.
    """

    X: Array
    targets: Array
    fitted: Array
    held: Array


def fit_module(
    module: nn.Module, rows: Rows, schedule: Schedule, batch_size: int
) -> tuple[float, ...]:
    """Train `module` in place; return the loss of the held rows after each pass."""
    order = np.random.default_rng(schedule.seed)
    loss_of = nn.functional.cross_entropy if rows.targets.ndim == 1 else nn.functional.mse_loss

    def batches() -> list[Array]:
        for each in module.modules():
            if isinstance(each, nn.BatchNorm1d):
                each.reset_running_stats()
        shuffled = order.permutation(rows.fitted)
        return np.array_split(shuffled, n_batches(len(shuffled), batch_size))

    def loss(batch: Array) -> torch.Tensor:
        return loss_of(module(_tensor(rows.X[batch])), torch.as_tensor(rows.targets[batch]))

    def held_loss() -> float:
        scores = torch.as_tensor(scores_of(module, rows.X[rows.held]))
        targets = torch.as_tensor(rows.targets[rows.held])
        return float(loss_of(scores, targets))

    judge = held_loss if len(rows.held) else None
    return train(module, batches, loss, schedule, judge, _groups(module, schedule)).held


def pooled_of(module: PooledClassifier, X: Array) -> Float64:
    """Return what the pool gives of all rows, (n_items, n_channels)."""
    return scores_of(nn.Sequential(module.before, module.pool), X)


def scores_of(module: nn.Module, X: Array, batch_size: int = 256) -> Float64:
    """Return the scores of all rows, (n_items, n_classes)."""
    module.eval()
    with torch.inference_mode():
        parts = [module(_tensor(X[start : start + batch_size])) for start in _starts(X, batch_size)]
        return np.asarray(torch.cat(parts).numpy(), np.float64)


def n_batches(n_rows: int, batch_size: int) -> int:
    """Return how many batches a pass takes, none of one row: it has no variance to normalise by."""
    return max(1, min(round(n_rows / batch_size), n_rows // 2))


def settle(module: nn.Module, X: Array) -> None:
    """Give every `Standardise` the mean and deviation of training rows, the first ones first."""
    if isinstance(module, PooledClassifier):
        if isinstance(module.before, Standardise):
            module.before.settle(X)
        module.after.settle(pooled_of(module, X))
    else:
        first = next(iter(module.children()))
        assert isinstance(first, Standardise)
        first.settle(X)


def _groups(module: nn.Module, schedule: Schedule) -> list[dict[str, Any]]:
    exponents = [p for name, p in module.named_parameters() if name.endswith("log_p")]
    others = [p for name, p in module.named_parameters() if not name.endswith("log_p")]
    return [
        {"params": others},
        {"params": exponents, "weight_decay": 0.0, "lr": schedule.rate * _P_RATE},
    ]


def _tensor(X: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(X, np.float32))


def _starts(X: Array, batch_size: int) -> range:
    return range(0, len(X), batch_size)
