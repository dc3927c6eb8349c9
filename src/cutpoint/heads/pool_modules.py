"""Pools with weights, as modules: activations (n_items, channels, places) → vectors."""

from __future__ import annotations

import math

import torch
from torch import nn


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
        Of the activation; between the two convolutions.
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


class PooledClassifier(nn.Module):
    """Pool → batch normalisation without parameters → linear.

    The normalisation makes one learning rate fit the activations of any layer.
    """

    def __init__(self, pool: nn.Module, n_channels: int, n_classes: int) -> None:
        super().__init__()
        self.pool = pool
        self.norm = nn.BatchNorm1d(n_channels, affine=False)
        self.linear = nn.Linear(n_channels, n_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.linear(self.norm(self.pool(x)))
        return scores
