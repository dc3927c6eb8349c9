"""Global maximum pooling."""

from __future__ import annotations

from typing import Any


def pool_gmp(activation: Any) -> Any:
    """Maximum over space.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, channels, height, width)

    Returns
    -------
    features : same kind and type, shape (n_items, channels)

    Examples
    --------
    >>> import numpy as np
    >>> pool_gmp(np.array([[[[1.0, 3.0]]]]))
    array([[3.]])
    """
    # Torch calls the plain maximum over axes `amax`; its `max` also returns indices.
    maximum = activation.amax if hasattr(activation, "amax") else activation.max
    return maximum((2, 3))
