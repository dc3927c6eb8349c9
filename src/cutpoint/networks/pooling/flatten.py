"""All values, one after the other."""

from __future__ import annotations

import math
from typing import Any

from cutpoint.base.ops import NUMPY, Ops, space_axes


def pool_flatten(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY) -> Any:
    """Every value a feature of its own, channel by channel.

    Parameters
    ----------
    activation, layout, ops
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels · places)
        In the order channel, then row, then column (or token), whatever the layout, so that one
        network has the same features in every framework.

    Examples
    --------
    >>> import numpy as np
    >>> pool_flatten(np.array([[[1.0, 3.0], [2.0, 4.0]]]), "NTC")
    array([[1., 2., 3., 4.]])
    """
    order = (0, layout.index("C"), *space_axes(layout))
    sizes = [int(activation.shape[axis]) for axis in order[1:]]
    # A copy, for the reason given in `pool_none`: PyTorch may give a view.
    return ops.copy(ops.reshape(ops.permute(activation, order), (math.prod(sizes),)))
