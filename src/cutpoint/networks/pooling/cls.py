"""The class token."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops


def pool_cls(activation: Any, layout: str = "NTC", ops: Ops = NUMPY) -> Any:
    """First token, which transformers with a class token read out.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, n_tokens, channels)
    layout, ops
        As in `pool_gap`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Examples
    --------
    >>> import numpy as np
    >>> pool_cls(np.array([[[1.0], [3.0]]]))
    array([[1.]])
    """
    # A copy, for the reason given in `pool_none`: PyTorch gives a view.
    return ops.copy(ops.take(activation, layout.index("T"), 0))
