"""Spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cutpoint.pooling.bins import binned
from cutpoint.pooling.flatten import pool_flatten
from cutpoint.pooling.ops import NUMPY, Ops, space_axes

LEVELS = (1, 2, 4)


def pool_spp(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    levels: Sequence[int] = LEVELS,
    how: str = "mean",
) -> Any:
    """Means (or maxima) of ever finer grids: 1 × 1, 2 × 2, 4 × 4.

    Parameters
    ----------
    activation, layout, ops
        As in `pool_gap`; maps at least as large as the finest grid.
    levels : sequence of int, default (1, 2, 4)
        Bins a side of each grid. Bins partition the map: every place belongs to exactly one bin
        of each level, whatever the map's size.
    how : {"mean", "max"}

    Returns
    -------
    features : same kind and type, shape (n_items, channels · sum of level²)
        Level by level; within one as `pool_flatten`.

    Notes
    -----
    Where the map's side is a multiple of the level this is adaptive pooling as PyTorch has it;
    elsewhere PyTorch's bins overlap by a place and these don't.

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
    reduce = {"mean": ops.mean, "max": ops.max}[how]
    n_axes = len(space_axes(layout))
    grids = (binned(activation, layout, ops, (level,) * n_axes, reduce) for level in levels)
    return ops.concat([pool_flatten(grid, layout, ops) for grid in grids], 1)
