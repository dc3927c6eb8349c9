"""Training of a pool with its linear head on activations that are in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads.pool_modules import PooledClassifier, Standardise

_P_RATE = 20.0
"""An exponent learns so many times faster: it has to go from 3 to 1 or 10 in some hundred steps."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes
    ----------
    max_epochs, patience : int
        Passes at most; passes without a smaller log-loss on the inner split before it ends.
    batch_size : int
        About; 2 rows at least.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls to zero as a cosine over `max_epochs`.
    seed : int
        Draws the weights and the order of the rows.
    """

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


def train(
    module: nn.Module, X: Array, truth: Array, fitted: Array, held: Array, schedule: Schedule
) -> list[float]:
    """Train `module` in place; return the log-loss of the held rows after each epoch.

    Parameters
    ----------
    X : array of shape (n_items, channels, places)
        float16 or float32; taken to float32 a batch at a time.
    truth : int array of shape (n_items,)
    fitted, held : int arrays
        Rows to learn from; rows that say when to stop. Without held rows all epochs are run.
        With them the module ends with the weights that served them best.
    """
    optimiser = torch.optim.AdamW(_groups(module, schedule), lr=schedule.learning_rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, schedule.max_epochs)
    order = np.random.default_rng(schedule.seed)
    losses: list[float] = []
    best = copy.deepcopy(module.state_dict())
    for _ in range(schedule.max_epochs):
        _one_epoch(module, optimiser, X, truth, order.permutation(fitted), schedule.batch_size)
        cosine.step()
        if not len(held):
            continue
        losses.append(_log_loss(scores_of(module, X[held]), truth[held]))
        if losses[-1] == min(losses):
            best = copy.deepcopy(module.state_dict())
        elif len(losses) - 1 - int(np.argmin(losses)) >= schedule.patience:
            break
    if len(held):
        module.load_state_dict(best)
    return losses


def pooled_of(module: PooledClassifier, X: Array) -> Float64:
    """Return what the pool gives of all rows, (n_items, n_channels)."""
    return scores_of(nn.Sequential(module.before, module.pool), X)


def scores_of(module: nn.Module, X: Array, batch_size: int = 256) -> Float64:
    """Return the scores of all rows, (n_items, n_classes)."""
    module.eval()
    with torch.inference_mode():
        parts = [module(_tensor(X[start : start + batch_size])) for start in _starts(X, batch_size)]
        return np.asarray(torch.cat(parts).numpy(), np.float64)


def _one_epoch(
    module: nn.Module, optimiser: Any, X: Array, truth: Array, rows: Array, batch_size: int
) -> None:
    module.train()
    for each in module.modules():
        if isinstance(each, nn.BatchNorm1d):
            each.reset_running_stats()
    for batch in _batches(rows, batch_size):
        loss = nn.functional.cross_entropy(module(_tensor(X[batch])), torch.as_tensor(truth[batch]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch publishes no type of it
        optimiser.step()


def _batches(rows: Array, batch_size: int) -> Iterator[Array]:
    """Yield batches of nearly one size."""
    yield from np.array_split(rows, n_batches(len(rows), batch_size))


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
        {"params": others, "weight_decay": schedule.weight_decay},
        {"params": exponents, "weight_decay": 0.0, "lr": schedule.learning_rate * _P_RATE},
    ]


def _log_loss(scores: Float64, truth: Array) -> float:
    return float(nn.functional.cross_entropy(torch.as_tensor(scores), torch.as_tensor(truth)))


def _tensor(X: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(X, np.float32))


def _starts(X: Array, batch_size: int) -> range:
    return range(0, len(X), batch_size)
