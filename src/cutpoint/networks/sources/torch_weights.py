"""What the sources of PyTorch networks share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cutpoint.base.errors import MissingExtra, WeightsError

if TYPE_CHECKING:
    from cutpoint.networks.frameworks import Framework


def torch_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    try:
        from cutpoint.networks.frameworks import torch
    except ImportError as error:
        raise MissingExtra("The framework PyTorch", "torch") from error
    return torch


def import_torchvision_based(name: str, what: str, extra: str) -> Any:
    """Import torchvision or a package that needs it, or name the extra that is missing."""
    try:
        from cutpoint.networks.frameworks.torch.torchvision_shim import import_with_shim

        return import_with_shim(name)
    except ImportError as error:
        raise MissingExtra(what, extra) from error


def trained_side(network: Any) -> int | None:
    """Return the side of the photos a network's own configuration says it was trained on.

    timm's networks say it in ``pretrained_cfg``, those of transformers in ``config``.
    """
    said = getattr(network, "pretrained_cfg", None) or {}
    size = said.get("input_size") if isinstance(said, Mapping) else None
    height, width = size[1:] if size else (None, None)
    if height is None:
        size = getattr(getattr(network, "config", None), "image_size", None)
        height, width = size if isinstance(size, (list, tuple)) and len(size) == 2 else (size, size)
    return height if isinstance(height, int) and height == width else None


def weights_shape(state: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Return the shape of an item as far as weights tell it: colour images have a 2-D convolution
    of three channels first; nothing is known of others."""
    maps = (tensor.shape[1] for tensor in state.values() if getattr(tensor, "ndim", 0) == 4)
    return (None, None, 3) if next(maps, 0) == 3 else ()


def state_sha256(network: Any) -> str:
    """Return the digest of a network's weights, statistics and structure, as specs name it."""
    import torch

    from cutpoint.networks.frameworks.torch.weights import bytes_of, structure_of

    digest = hashlib.sha256(structure_of(network))
    for name, tensor in sorted(network.state_dict().items()):
        if isinstance(tensor, torch.Tensor):  # beside what modules keep as extra state
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(bytes_of(tensor))
    return digest.hexdigest()


def refuse_nan(network: Any, name: str) -> None:
    """Raise `WeightsError` if any weight is NaN or infinite, or has no value yet.

    What is no parameter may be infinite: attention masks are.
    """
    import torch

    parameters = {key for key, _ in network.named_parameters(remove_duplicate=False)}
    for key, tensor in network.state_dict().items():
        if torch.nn.parameter.is_lazy(tensor):
            raise WeightsError(
                f'The weight "{key}" of backbone "{name}" has no shape yet.',
                "The module around it is lazy.",
                "A network that has run once, and was trained after that.",
                "Run it once with:  network(batch)",
            )
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            continue
        is_bad = ~tensor.isfinite() if key in parameters else tensor.isnan()
        if bool(is_bad.any()):
            raise WeightsError(
                f'The weight "{key}" of backbone "{name}" holds NaN or infinity.',
                "No feature computed with it would mean anything.",
                "Finite weights.",
                "Load the weights anew and look at:  tensor.isfinite().all()",
            )
