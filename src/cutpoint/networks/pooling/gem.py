"""Generalised-mean pooling."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import space_mean


def pool_gem(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    p: float = 3.0,
    eps: float = 1e-6,
    mask: Any = None,
) -> Any:
    """Generalised mean over space, ``mean(max(x, eps)^p)^(1/p)``.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`. Meant for non-negative activations; values below `eps` are raised to it.
    p : float, default 3.0
        Exponent, > 0. 1 is the mean; large values approach the maximum.
    eps : float, default 1e-6
        Smallest value that enters the mean.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    References
    ----------
    Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> pool_gem(np.array([[[[1.0, 1.0]]]])).round(6)
    array([[1.]])
    """
    powers = ops.power(ops.at_least(activation, eps), p)
    return ops.power(space_mean(powers, layout, ops, mask), 1.0 / p)
