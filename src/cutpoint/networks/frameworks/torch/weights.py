"""What a module's weights are, byte for byte, and how its layers are set up."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import torch
from torch import nn

WHEN_CHANGED = "backbone = cp.load(backbone.network, preprocess=backbone.spec.preprocess)"
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a function in memory, other in each process


def weights_digests(network: Any) -> dict[str, str]:
    """Return the digest of each parameter and each buffer, and one of the structure.

    Bytes are compared, as the version counters of tensors miss what is done through ``.data``,
    NumPy views and moving statistics. Buffers count that are not saved with the network, too.
    """
    tensors = {**dict(network.named_buffers(remove_duplicate=False)), **network.state_dict()}
    found = {
        name: _sha256(tensor)
        for name, tensor in tensors.items()
        if isinstance(tensor, torch.Tensor)
    }
    return {**found, "how layers are set up": hashlib.sha256(structure_of(network)).hexdigest()}


def _sha256(tensor: torch.Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    digest.update(bytes_of(tensor))
    return digest.hexdigest()


def structure_of(network: nn.Module) -> bytes:
    """Return each module's class and what it says of itself, such as strides.

    Networks that differ in an activation alone have equal weights.
    """
    lines = (
        f"{path} {type(module).__qualname__}({_ADDRESS.sub('', module.extra_repr())})\n"
        for path, module in network.named_modules()
    )
    return "".join(lines).encode()


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return a tensor's values as bytes, since NumPy lacks some of torch's types."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
