"""A mean in which later tokens count more, for decoders, whose tokens see only those before."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops, space_axes
from cutpoint.networks.pooling.masked import places_like, without_padding


def pool_weightedmean(
    activation: Any, layout: str = "NTC", ops: Ops = NUMPY, mask: Any = None
) -> Any:
    """Mean over the valid tokens, weighted by their places 1, 2, 3, ….

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid token.

    References
    ----------
    Muennighoff, "SGPT: GPT Sentence Embeddings for Semantic Search", 2022, eq. 3.

    Examples
    --------
    >>> import numpy as np
    >>> pool_weightedmean(np.array([[[1.0], [4.0]]]))
    array([[3.]])
    """
    mask = places_like(activation, layout, ops) if mask is None else mask
    weights = ops.multiply(ops.running_sum(mask), mask)
    (axis,) = space_axes(layout)
    shaped = ops.reshape(weights, (activation.shape[axis], 1))
    shaped = shaped if axis == 1 else ops.permute(shaped, (0, 2, 1))
    total = ops.mean(ops.multiply(without_padding(activation, layout, ops, mask), shaped), (axis,))
    whole = ops.at_least(ops.reshape(ops.mean(weights, (1,)), (1,)), 1e-9)
    return ops.multiply(total, ops.power(whole, -1.0))
