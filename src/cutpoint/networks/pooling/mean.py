"""The mean over valid tokens, alone or beside the class token."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.cls import pool_cls
from cutpoint.networks.pooling.masked import space_mean


def pool_mean(activation: Any, layout: str = "NTC", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Mean over the valid tokens.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, n_tokens, channels)
        Or as `layout` says. A class token is one of the tokens.
    layout, ops
        As in `pool_gap`.
    mask : array or tensor of shape (n_items, n_tokens), optional
        1 where a token is valid, 0 where it is padding, of the activation's own type. Without it
        all tokens are valid. A cut of PyTorch gives it where the spec names a padding id.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid token.

    Examples
    --------
    >>> import numpy as np
    >>> tokens, mask = np.array([[[1.0], [3.0], [9.0]]]), np.array([[1.0, 1.0, 0.0]])
    >>> pool_mean(tokens, mask=mask)
    array([[2.]])
    """
    return space_mean(activation, layout, ops, mask)


def pool_cls_mean(activation: Any, layout: str = "NTC", ops: Ops = NUMPY, mask: Any = None) -> Any:
    """Class token, then the mean over the valid tokens.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_mean`.

    Returns
    -------
    features : same kind and type, shape (n_items, 2 · channels)

    Notes
    -----
    The class token takes part in the mean. To a linear head that is all one: the mean of the
    others is a fixed combination of the two.

    Examples
    --------
    >>> import numpy as np
    >>> pool_cls_mean(np.array([[[1.0], [3.0]]]))
    array([[1., 2.]])
    """
    parts = [pool_cls(activation, layout, ops), pool_mean(activation, layout, ops, mask)]
    return ops.concat(parts, 1)
