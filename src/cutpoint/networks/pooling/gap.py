"""Global average pooling."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import space_mean


def pool_gap(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Mean over space, or over its valid places.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, channels, height, width)
        Or as `layout` says.
    layout : str
        As in `Layer.layout`.
    ops : Ops
        Operations on this kind of array.
    mask : array or tensor of shape (n_items, n_places), optional
        For tokens or time: 1 where a place is valid, 0 where it is padding, of the activation's own
        type. Without it all places are valid.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid place.

    Examples
    --------
    >>> import numpy as np
    >>> pool_gap(np.array([[[[1.0, 3.0]]]]))
    array([[2.]])
    """
    return space_mean(activation, layout, ops, mask)
