"""Global average pooling."""

from __future__ import annotations

from typing import Any

from cutpoint.networks.pooling.mean import pool_mean
from cutpoint.networks.pooling.ops import NUMPY, Ops, space_axes


def pool_gap(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Mean over space, or over the valid tokens.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, channels, height, width)
        Or as `layout` says.
    layout : str
        As in `Layer.layout`.
    ops : Ops
        Operations on this kind of array.
    mask : array or tensor of shape (n_items, n_tokens), optional
        Of tokens alone, as in `pool_mean`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Examples
    --------
    >>> import numpy as np
    >>> pool_gap(np.array([[[[1.0, 3.0]]]]))
    array([[2.]])
    """
    if mask is not None:
        return pool_mean(activation, layout, ops, mask)
    return ops.mean(activation, space_axes(layout))
