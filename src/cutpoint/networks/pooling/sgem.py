"""Generalised-mean pooling of activations that can be negative."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops
from cutpoint.networks.pooling.masked import space_mean


def pool_sgem(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    p: float = 3.0,
    mask: Any = None,
) -> Any:
    """Signed generalised mean, ``s(mean(s(x)))`` with ``sign(x)·|x|^p`` inside, ``^(1/p)`` outside.

    For what transformers and GELU or SiLU networks give: `pool_gem` would raise all that is
    negative to its ε and lose it.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.
    p : float, default 3.0
        Exponent, > 0. 1 is the mean; large values approach the value of largest magnitude.

    Returns
    -------
    features : same kind and type, shape (n_items, channels)
        Equal to `pool_gem` where nothing is below its ε; odd: ``-x`` gives the negated features.

    Examples
    --------
    >>> import numpy as np
    >>> pool_sgem(np.array([[[[-2.0, -2.0]]]])).round(6)
    array([[-2.]])
    """
    powers = space_mean(_signed_power(activation, p, ops), layout, ops, mask)
    return _signed_power(powers, 1.0 / p, ops)


def _signed_power(x: Any, exponent: float, ops: Ops) -> Any:
    above = ops.power(ops.at_least(x, 0.0), exponent)
    below = ops.power(ops.at_least(ops.scale(x, -1.0), 0.0), exponent)
    return ops.add(above, ops.scale(below, -1.0))
