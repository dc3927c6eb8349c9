"""No pooling: the whole activation."""

from __future__ import annotations

from typing import Any


def pool_none(activation: Any) -> Any:
    """Return a copy of the activation, of any shape ``(n_items, …)``.

    A copy, because an in-place operation later in the network would otherwise change it.
    """
    return activation.clone() if hasattr(activation, "clone") else activation.copy()
