"""A smaller map."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops, space_axes
from cutpoint.networks.pooling.bins import binned


def pool_grid(
    activation: Any, layout: str = "NCHW", ops: Ops = NUMPY, *, n: int, mask: Any = None
) -> Any:
    """Average to n × n places, or n of time; the channels and the layout are kept.

    Meant for maps that are stored: a learned pool still has places to weigh, at a fraction of
    their size.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`; maps at least n × n large.
    n : int
        Places a side. Bins partition the map: every place belongs to exactly one.

    Returns
    -------
    maps : same kind and type, shape (n_items, channels, n, n)
        Or as `layout` says.

    Examples
    --------
    >>> import numpy as np
    >>> pool_grid(np.array([[[[1.0, 3.0, 5.0]] * 3]]), n=2)
    array([[[[1., 4.],
             [1., 4.]]]])
    """
    counts = (n,) * len(space_axes(layout))
    # A copy, for the reason given in `pool_none`: a grid as large as the map is the map itself.
    return ops.copy(binned(activation, layout, ops, counts, mask=mask))
