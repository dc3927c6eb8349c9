"""Pools with weights, as modules: activations (n_items, channels, places) → vectors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from cutpoint.base.types import Array


class GeMPool(nn.Module):
    """Generalised mean whose exponent is learned; takes logarithms of the activations.

    ``mean(x^p)^(1/p) = exp((logsumexp(p·log x) − log n) / p)``, which does not overflow for large
    p and costs no power a pass.

    Parameters
    ----------
    n_exponents : int
        1, or one a channel.
    p : float
        Where learning starts.
    """

    def __init__(self, n_exponents: int, p: float) -> None:
        super().__init__()
        self.log_p = nn.Parameter(torch.full((n_exponents, 1), math.log(p)))

    def forward(self, logs: torch.Tensor) -> torch.Tensor:
        p = self.log_p.exp()
        total = torch.logsumexp(logs * p, dim=2)  # (B, C)
        pooled: torch.Tensor = ((total - math.log(logs.shape[2])) / p[:, 0]).exp()
        return pooled


class AttentionPool(nn.Module):
    """Weighted mean over places; the weights are softmax(conv(relu(conv(x)))), all 1 × 1.

    Parameters
    ----------
    n_channels, n_hidden : int
        Channels of the activation; channels between the two convolutions.
    """

    def __init__(self, n_channels: int, n_hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(n_channels, n_hidden, 1), nn.Conv1d(n_hidden, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.second(self.first(x).relu()).softmax(dim=2)  # (B, 1, P)
        pooled: torch.Tensor = (x @ weights.transpose(1, 2))[:, :, 0]
        return pooled


class QueryPool(nn.Module):
    """Several learned queries over the places, each with its share of one value projection.

    Parameters
    ----------
    n_channels, n_queries : int
        The second divides the first.

    Notes
    -----
    The weighted mean is taken before the projection, not after: the same numbers, as both are
    linear, at 1/places of the products.

    References
    ----------
    Psomas et al., "Attention, Please! Revisiting Attentive Probing Through the Lens of
    Efficiency", 2025.
    """

    def __init__(self, n_channels: int, n_queries: int) -> None:
        super().__init__()
        # 0.02 and the projection's own start are the authors'.
        self.queries = nn.Parameter(torch.randn(n_queries, n_channels) * 0.02)
        self.values = nn.Linear(n_channels, n_channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n_queries, n_channels = self.queries.shape
        weights = (self.queries @ x * n_channels**-0.5).softmax(dim=2)  # (B, Q, P)
        seen = weights @ x.transpose(1, 2)  # (B, Q, C)
        shares = self.values.weight.view(n_queries, n_channels // n_queries, n_channels)
        return torch.einsum("bqc,qdc->bqd", seen, shares).flatten(1)


class Standardise(nn.Module):
    """(x − mean) / deviation of each channel, axis 1; both from training rows, none learned.

    Exact, where batch normalisation of inputs would follow the batches, and add a constant that is
    small for features of one scale and large for those of another.

    Parameters
    ----------
    n_channels : int
    is_shared : bool
        Whether all channels are divided by one deviation, the root of their mean variance. What is
        nearly constant in few rows is then not blown up.
    """

    def __init__(self, n_channels: int, is_shared: bool = False) -> None:
        super().__init__()
        self.is_shared = is_shared
        self.mean, self.deviation = (
            nn.Buffer(torch.zeros(n_channels)),
            nn.Buffer(torch.ones(n_channels)),
        )

    def settle(self, x: Array) -> None:
        """Take mean and deviation of training rows (n_items, channels) or (…, places)."""
        n_places = int(np.prod(x.shape[2:]))
        # Channel by channel: float64 of all at once would be several times the rows' memory.
        flat = x.reshape(*x.shape[:2], n_places)
        mean = flat.mean(axis=(0, 2), dtype=np.float64)
        variances = np.array([np.var(flat[:, c], dtype=np.float64) for c in range(len(mean))])
        is_constant = np.sqrt(variances) <= 1e-6 * np.abs(mean)  # but for rounding, or zero
        variances[is_constant] = 0.0
        if self.is_shared:
            variances[:] = variances.mean()
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.sqrt(np.where(variances > 0, variances, 1.0))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        scaled: torch.Tensor = (x - self.mean.view(shape)) / self.deviation.view(shape)
        return scaled


class PooledClassifier(nn.Module):
    """Standardise → pool → standardise → batch normalisation without parameters → linear.

    So that one learning rate fits the activations of any layer: what the pool gives is of one size
    before it learns, and the batches' statistics follow it from there.

    Parameters
    ----------
    is_scaled : bool
        Whether the pool's input is standardised; logarithms are not.
    """

    def __init__(
        self, pool: nn.Module, n_channels: int, n_classes: int, is_scaled: bool = True
    ) -> None:
        super().__init__()
        self.before = Standardise(n_channels) if is_scaled else nn.Identity()
        self.pool = pool
        self.after = Standardise(n_channels)
        # Without momentum it averages the batches since it was last reset: those of one epoch.
        self.norm = nn.BatchNorm1d(n_channels, affine=False, momentum=None)
        self.linear = nn.Linear(n_channels, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.linear(self.norm(self.after(self.pool(self.before(x)))))
        return scores
