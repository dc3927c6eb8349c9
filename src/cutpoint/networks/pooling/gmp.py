"""Global maximum pooling."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import space_max


def pool_gmp(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Maximum over space, or over its valid places.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Examples
    --------
    >>> import numpy as np
    >>> pool_gmp(np.array([[[[1.0, 3.0]]]]))
    array([[3.]])
    """
    return space_max(activation, layout, ops, mask)
