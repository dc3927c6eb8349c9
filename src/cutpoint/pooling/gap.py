"""Global average pooling."""

from __future__ import annotations

from typing import Any


def pool_gap(activation: Any) -> Any:
    """Mean over space.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, channels, height, width)

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Examples
    --------
    >>> import numpy as np
    >>> pool_gap(np.array([[[[1.0, 3.0]]]]))
    array([[2.]])
    """
    return activation.mean((2, 3))
