"""The mean of length 1, as sentence-transformers' own models end."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import space_mean

_LEAST = 1e-24  # a squared length; torch.nn.functional.normalize has 1e-12 of the length


def pool_st(activation: Any, layout: str = "NTC", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Mean over the valid tokens, divided by its Euclidean length.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid token.

    Examples
    --------
    >>> import numpy as np
    >>> pool_st(np.array([[[3.0, 0.0], [3.0, 8.0]]]))
    array([[0.6, 0.8]])
    """
    mean = space_mean(activation, layout, ops, mask)
    n_channels = int(mean.shape[1])
    squared = ops.scale(ops.mean(ops.multiply(mean, mean), (1,)), n_channels)
    length = ops.power(ops.at_least(ops.reshape(squared, (1,)), _LEAST), -0.5)
    return ops.multiply(mean, length)
