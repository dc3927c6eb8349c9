"""Gram matrices: which channels fire together, wherever that is."""

from __future__ import annotations

import math
from typing import Any

from cutpoint.base.ops import NUMPY, Ops, space_axes
from cutpoint.networks.pooling.masked import valid_share, without_padding


def pool_gram(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Gram matrix over space, the style of an image: ``G[c, d] = mean over places of x_c x_d``.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels, channels)
        Divided by the number of (valid) places, so that sizes compare.

    References
    ----------
    Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", 2016, eq. 3, which
    sums over places.

    Examples
    --------
    >>> import numpy as np
    >>> pool_gram(np.array([[[[1.0, 3.0]]]]))
    array([[[5.]]])
    """
    if mask is not None:
        activation = without_padding(activation, layout, ops, mask)
    channel, space = layout.index("C"), space_axes(layout)
    n_places = math.prod(int(activation.shape[axis]) for axis in space)
    n_channels = int(activation.shape[channel])
    rows = ops.reshape(ops.permute(activation, (0, channel, *space)), (n_channels, n_places))
    mean = ops.scale(ops.matmul(rows, ops.permute(rows, (0, 2, 1))), 1.0 / n_places)
    if mask is None:
        return mean
    return ops.multiply(mean, ops.power(ops.reshape(valid_share(mask, ops), (1, 1)), -1.0))
