"""What the sources of PyTorch networks share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cutpoint.errors import MissingExtra, WeightsError

if TYPE_CHECKING:
    from cutpoint.types import Framework


def torch_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    try:
        from cutpoint.frameworks import torch
    except ImportError as error:
        raise MissingExtra("The framework PyTorch", "torch") from error
    return torch


def import_torchvision_based(name: str, what: str, extra: str) -> Any:
    """Import torchvision or a package that needs it, or name the extra that is missing."""
    try:
        from cutpoint.frameworks.torch.torchvision_shim import import_with_shim

        return import_with_shim(name)
    except ImportError as error:
        raise MissingExtra(what, extra) from error


def state_sha256(network: Any) -> str:
    """Return the digest of all names and bytes of a network's weights and statistics."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def refuse_nan(network: Any, name: str) -> None:
    """Raise `WeightsError` if any weight is NaN or infinite."""
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(
                f'Backbone "{name}" was asked for.',
                f'Its weight "{key}" holds NaN or infinity.',
                "Finite weights: no feature of these would mean anything.",
                "Load the weights anew and look at:  tensor.isfinite().all()",
            )
