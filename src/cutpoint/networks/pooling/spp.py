"""Spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cutpoint.base.ops import NUMPY, Ops, space_axes
from cutpoint.networks.pooling.bins import binned
from cutpoint.networks.pooling.flatten import pool_flatten

LEVELS = (1, 2, 4)


def pool_spp(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    levels: Sequence[int] = LEVELS,
    how: str = "mean",
    adaptive: bool = False,
    mask: Any = None,
) -> Any:
    """Means (or maxima) of ever finer grids: 1 × 1, 2 × 2, 4 × 4; of time: 1, 2, 4 parts.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`; maps at least as large as the finest grid, unless `adaptive`.
    levels : sequence of int, default (1, 2, 4)
        Bins a side of each grid. Bins partition the map: every place belongs to exactly one bin
        of each level, whatever the map's size.
    how : {"mean", "max"}
    adaptive : bool, default False
        Whether bins and order are those of PyTorch's adaptive pools: bins overlap by a place where
        the side is no multiple of the level, and a map may be smaller than a grid.

    Returns
    -------
    features : same kind and type, shape (n_items, channels · sum of level²)
        Level by level, within one as `pool_flatten`; or channel by channel, within one level by
        level, if `adaptive`.

    Notes
    -----
    Where the map's side is a multiple of every level, both kinds of bins are the same. `adaptive`
    equals ``torch.cat([pool(x, level).flatten(2) for level in levels], 2).flatten(1)`` of
    ``adaptive_avg_pool2d`` (or ``max``) at any side.

    References
    ----------
    He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
    2014; Lazebnik et al., "Beyond Bags of Features", 2006.

    Examples
    --------
    >>> import numpy as np
    >>> pool_spp(np.array([[[[1.0, 3.0], [5.0, 7.0]]]]), levels=(1, 2))
    array([[4., 1., 3., 5., 7.]])
    """
    n_axes = len(space_axes(layout))
    grids = (
        binned(activation, layout, ops, (level,) * n_axes, how, adaptive, mask) for level in levels
    )
    flat = [pool_flatten(grid, layout, ops) for grid in grids]
    if not adaptive:
        return ops.concat(flat, 1)
    n_channels = int(activation.shape[layout.index("C")])
    counts = [level**n_axes for level in levels]
    by_channel = [
        ops.reshape(each, (n_channels, count)) for each, count in zip(flat, counts, strict=True)
    ]
    return ops.reshape(ops.concat(by_channel, 2), (n_channels * sum(counts),))
