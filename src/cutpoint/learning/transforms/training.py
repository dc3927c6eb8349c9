"""Small networks trained on features in memory, in seconds.

Nothing touches PyTorch's global random state: weights and batches are drawn by NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.special

from cutpoint.base.types import Array, Float32, Float64
from cutpoint.learning.transforms.project import orthogonal
from cutpoint.networks.runtimes.torch import import_torch
from cutpoint.networks.training import Schedule, train

Start = Callable[[np.random.Generator, int, int], Float64]


def _normal(random: np.random.Generator, n_in: int, n_out: int) -> Float64:
    return np.asarray(random.normal(size=(n_in, n_out)) / np.sqrt(n_in), np.float64)


def _xavier(random: np.random.Generator, n_in: int, n_out: int) -> Float64:
    within = np.sqrt(6 / (n_in + n_out))
    return random.uniform(-within, within, size=(n_in, n_out))


STARTS: dict[str, Start] = {"normal": _normal, "orthogonal": orthogonal, "xavier": _xavier}
"""How the weights (n_in, n_out) of a linear layer begin, by the name a person types."""

BATCH_ROWS = 256
LEARNING_RATE = 0.01
_WHAT = "A transform trained by PyTorch"


def train_autoencoder(
    X: Float32, sizes: tuple[int, int], n_steps: int, seed: int
) -> tuple[list[Float32], float]:
    """Return weights and biases of encoder and decoder, and the last mean squared error.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
        Centred, of variance 1 over all columns.
    sizes : tuple of int
        Width of the hidden layer and of the middle.
    """
    torch = import_torch(_WHAT)
    random = np.random.default_rng(seed)
    n_features, (n_hidden, n_middle) = X.shape[1], sizes
    widths = (n_features, n_hidden, n_middle, n_hidden, n_features)
    weights = _layers(random, widths)
    rows = torch.from_numpy(X)

    def loss(batch: Any) -> Any:
        w1, b1, w2, b2, w3, b3, w4, b4 = weights
        middle = torch.tanh(rows[batch] @ w1 + b1) @ w2 + b2
        return (torch.tanh(middle @ w3 + b3) @ w4 + b4 - rows[batch]).square().mean()

    # A tenth of the other networks' rate: four layers deep, it diverges at theirs.
    last = _descend(weights, loss, len(X), n_steps, random, LEARNING_RATE / 10)
    return [_to_numpy(weight) for weight in weights], last


def train_projection(
    X: Float32,
    truth: Array,
    n_components: int,
    penalty: float,
    n_steps: int,
    seed: int,
    init: str = "normal",
) -> tuple[Float32, float]:
    """Return the projection (n_features, n_components), and the last cross-entropy."""
    torch = import_torch(_WHAT)
    random = np.random.default_rng(seed)
    n_classes = int(truth.max()) + 1
    start = _trainable(STARTS[init](random, X.shape[1], n_components))
    weights = [start, *_layers(random, (n_components, n_classes))]
    rows, targets = torch.from_numpy(X), torch.from_numpy(truth.astype(np.int64))

    def loss(batch: Any) -> Any:
        projection, head, bias = weights
        scores = rows[batch] @ projection @ head + bias
        size = projection.square().sum() + head.square().sum()
        return torch.nn.functional.cross_entropy(scores, targets[batch]) + penalty * size

    last = _descend(weights, loss, len(X), n_steps, random, LEARNING_RATE / 10)
    return _to_numpy(weights[0]), last


def train_mask(
    X: Float32, truth: Array, penalty: float, temperatures: Float64, seed: int
) -> Float64:
    """Return the mask of each column at the last temperature, (n_features,), 0–1.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
        Standardised.
    penalty : float
        Weight of the mask's mean.
    temperatures : array of shape (n_steps,)
        Divides the logits at each step.
    """
    torch = import_torch(_WHAT)
    random = np.random.default_rng(seed)
    n_features, n_classes = X.shape[1], int(truth.max()) + 1
    logits = _trainable(np.ones(n_features))  # on, until the penalty turns it off
    head, bias = _layers(random, (n_features, n_classes))
    rows, targets = torch.from_numpy(X), torch.from_numpy(truth.astype(np.int64))
    schedule = iter(temperatures)

    def loss(batch: Any) -> Any:
        mask = torch.sigmoid(logits / next(schedule))
        scores = rows[batch] * mask @ head + bias
        # Without this the head would grow as the mask shrinks.
        size = 1e-3 * head.square().sum()
        return (
            torch.nn.functional.cross_entropy(scores, targets[batch]) + penalty * mask.mean() + size
        )

    _descend([logits, head, bias], loss, len(X), len(temperatures), random, LEARNING_RATE)
    return np.asarray(1 / (1 + np.exp(-_to_numpy(logits).astype(np.float64) / temperatures[-1])))


def train_layer_weights(
    layers: Float32, truth: Array, n_steps: int, seed: int
) -> tuple[Float64, float]:
    """Return the softmax of each layer's weight, (n_layers,), and the last cross-entropy.

    Parameters
    ----------
    layers : array of shape (n_items, n_layers, n_features)
        Their mean square over all is 1.
    """
    torch = import_torch(_WHAT)
    random = np.random.default_rng(seed)
    n_layers, n_features = layers.shape[1:]
    weights = _trainable(np.zeros(n_layers))
    head, bias = _layers(random, (n_features, int(truth.max()) + 1))
    rows, targets = torch.from_numpy(layers), torch.from_numpy(truth.astype(np.int64))

    def loss(batch: Any) -> Any:
        mixed = torch.einsum("nlc,l->nc", rows[batch], weights.softmax(0))
        # Without this the head of few rows would grow for ever.
        size = 1e-3 * head.square().sum()
        scores = mixed @ head + bias
        return torch.nn.functional.cross_entropy(scores, targets[batch]) + size

    last = _descend([weights, head, bias], loss, len(layers), n_steps, random, LEARNING_RATE)
    logits = _to_numpy(weights).astype(np.float64)
    return scipy.special.softmax(logits), last


def _layers(random: np.random.Generator, widths: Sequence[int]) -> list[Any]:
    """Return weights and zero biases of linear layers; deviations of 1 / √width keep the scale."""
    tensors = []
    for width, next_width in pairwise(widths):
        weight = STARTS["normal"](random, width, next_width)
        tensors += [_trainable(weight), _trainable(np.zeros(next_width))]
    return tensors


def _trainable(values: Float64) -> Any:
    """Return values as a float32 tensor of their own that can be learned."""
    torch = import_torch(_WHAT)
    return torch.nn.Parameter(torch.from_numpy(values.astype(np.float32)))


def _descend(
    weights: list[Any],
    loss: Callable[[Any], Any],
    n_rows: int,
    n_steps: int,
    random: np.random.Generator,
    rate: float,
) -> float:
    """Minimise, a batch drawn for each step; return the last loss."""
    torch = import_torch(_WHAT)

    def batches() -> list[Any]:
        return [torch.from_numpy(random.choice(n_rows, min(n_rows, BATCH_ROWS), replace=False))]

    module = torch.nn.ParameterList(weights)
    return train(module, batches, loss, Schedule(n_steps, rate)).last


def _to_numpy(tensor: Any) -> Float32:
    return np.ascontiguousarray(tensor.detach().numpy())
