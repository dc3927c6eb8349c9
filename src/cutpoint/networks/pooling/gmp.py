"""Global maximum pooling."""

from __future__ import annotations

from typing import Any

from cutpoint.networks.pooling.ops import NUMPY, Ops, space_axes


def pool_gmp(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY) -> Any:
    """Maximum over space, or over all tokens.

    Parameters
    ----------
    activation, layout, ops
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
    return ops.max(activation, space_axes(layout))
