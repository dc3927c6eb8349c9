"""The last token, which decoders have read everything by."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import last_place, places_like, space_mean


def pool_last(activation: Any, layout: str = "NTC", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Last valid token; of a text that ends in a special one, such as ``[SEP]``, that one.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, n_tokens, channels)
    layout, ops, mask
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid token.

    Examples
    --------
    >>> import numpy as np
    >>> tokens, mask = np.array([[[1.0], [3.0], [9.0]]]), np.array([[1.0, 1.0, 0.0]])
    >>> pool_last(tokens, mask=mask)
    array([[3.]])
    """
    mask = places_like(activation, layout, ops) if mask is None else mask
    return space_mean(activation, layout, ops, last_place(mask, ops))
