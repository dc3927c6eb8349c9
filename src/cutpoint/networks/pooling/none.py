"""No pooling: the whole activation."""

from __future__ import annotations

from typing import Any

from cutpoint.base.ops import NUMPY, Ops


def pool_none(activation: Any, layout: str = "NCHW", ops: Ops = NUMPY) -> Any:
    """Return a copy of the activation, of any shape ``(n_items, …)``.

    A copy, because an in-place operation later in the network would otherwise change it.
    """
    return ops.copy(activation)
