"""A word on pools that are meant for values ≥ 0, where there are others."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cutpoint.base.spec import TapSpec
from cutpoint.networks.pooling.parse import loses_sign


class SignedActivationWarning(UserWarning):
    """A pool for non-negative values meets negative ones."""


def warn_if_signed(tap: str, activation: Any) -> bool:
    """Warn if `tap` pools by GeM what goes below zero; return whether it does.

    The text holds the tap's name and no figure, so that Python's own filter shows it once a tap
    however many batches are looked at.

    Parameters
    ----------
    tap : str
        ``"layer/pool"``; any pool but ``gem`` and ``gem(p)`` is passed over.
    activation : array
        What the tap reads, not pooled, of a batch.

    Examples
    --------
    >>> import numpy as np
    >>> warn_if_signed("blocks.3/gem", np.ones((2, 3, 4, 4)))
    False
    """
    pool = TapSpec.from_name(tap).pool
    is_lost = loses_sign(pool) and bool((np.asarray(activation) < 0).any())
    if is_lost:
        warnings.warn(
            f"{tap}: values below zero are lost, gem raises them to 1e-6; s{pool} keeps them",
            SignedActivationWarning,
            stacklevel=2,
        )
    return is_lost
