"""Regional maxima of activations."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from cutpoint.base.ops import NUMPY, Ops

N_SCALES = 3  # of the paper, as are the four tenths that neighbouring regions overlap by
_OVERLAP = 0.4
_MOST_EXTRA = 6  # regions the longer side may have beyond the shorter; the reference's limit

Region = tuple[int, int, int, int]
"""Top, bottom, left, right; bottom and right are the first places outside."""


def pool_rmac(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    n_scales: int = N_SCALES,
    eps: float = 1e-6,
) -> Any:
    """Maxima over regions of several sizes, each region's vector of length one, summed.

    Parameters
    ----------
    activation, layout, ops
        As in `pool_gap`; maps alone.
    n_scales : int, default 3
        Scale l has square regions of side ⌊2·w/(l + 1)⌋, where w is the shorter side of the map.
    eps : float, default 1e-6
        Lengths below it are raised to it, so that a region of zeros stays zero.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Notes
    -----
    As in the authors' own code the maximum over the whole map is one more region, so that of a
    square map it counts twice. The paper then whitens each region; here the sum is whitened, if
    it is, by the transform that follows.

    References
    ----------
    Tolias et al., "Particular Object Retrieval with Integral Max-Pooling of CNN Activations",
    2016.

    Examples
    --------
    >>> import numpy as np
    >>> pool_rmac(np.ones((1, 1, 1, 1))).round(6)
    array([[2.]])
    """
    rows, columns = layout.index("H"), layout.index("W")
    regions = Counter(rmac_regions(activation.shape[rows], activation.shape[columns], n_scales))
    total = None
    for (top, bottom, left, right), count in regions.items():
        part = ops.slice(ops.slice(activation, rows, top, bottom), columns, left, right)
        vector = ops.scale(_unit_length(ops.max(part, (rows, columns)), ops, eps), count)
        total = vector if total is None else ops.add(total, vector)
    return total


def rmac_regions(height: int, width: int, n_scales: int = N_SCALES) -> list[Region]:
    """Return the whole map, then the regions of each scale.

    Examples
    --------
    >>> len(rmac_regions(7, 7)), len(rmac_regions(7, 10))
    (15, 21)
    """
    height, width = int(height), int(width)
    shorter = min(height, width)
    extra = _extra_regions(shorter, max(height, width))
    more_rows, more_columns = (extra, 0) if height > width else (0, extra)
    found = [(0, height, 0, width)]
    for scale in range(1, n_scales + 1):
        side = 2 * shorter // (scale + 1)
        if side == 0:
            break
        found += [
            (top, top + side, left, left + side)
            for top in _starts(height, side, scale + more_rows)
            for left in _starts(width, side, scale + more_columns)
        ]
    return found


def _extra_regions(shorter: int, longer: int) -> int:
    """Return how many more regions the longer side gets, for neighbours to overlap by 40 %.

    In float32 and in the reference's own order: of a map of 3 × 11 four and five come equally
    near, and its rounding decides.
    """
    if shorter == longer:
        return 0
    strides = np.float32(longer - shorter) / np.arange(1, _MOST_EXTRA + 1, dtype=np.float32)
    area = np.float32(shorter**2)
    overlaps = (area - np.float32(shorter) * strides) / area
    return int(np.abs(overlaps - np.float32(_OVERLAP)).argmin()) + 1


def _starts(size: int, side: int, n_regions: int) -> list[int]:
    if n_regions == 1:
        return [0]
    return [place * (size - side) // (n_regions - 1) for place in range(n_regions)]


def _unit_length(vector: Any, ops: Ops, eps: float) -> Any:
    n_channels = int(vector.shape[1])
    squared = ops.reshape(ops.scale(ops.mean(ops.multiply(vector, vector), (1,)), n_channels), (1,))
    return ops.multiply(vector, ops.power(ops.at_least(squared, eps**2), -0.5))
