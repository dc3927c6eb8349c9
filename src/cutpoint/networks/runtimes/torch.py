"""PyTorch, imported where a network is trained."""

from __future__ import annotations

from typing import Any

from cutpoint.base.errors import MissingExtra


def import_torch(what: str) -> Any:
    """Return the package ``torch``; `what` needs it, for the message."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(what, "torch") from error
    return torch
