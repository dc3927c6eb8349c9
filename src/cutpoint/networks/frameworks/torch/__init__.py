"""PyTorch: any ``nn.Module``."""

from cutpoint.networks.frameworks.torch.cut import TorchCut, make_cut
from cutpoint.networks.frameworks.torch.layers import list_layers
from cutpoint.networks.frameworks.torch.suffix import (
    crossing,
    make_suffix,
    parameters,
    training_device,
    with_weights,
)
from cutpoint.networks.frameworks.torch.symbolic import symbolic
from cutpoint.networks.frameworks.torch.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "TorchCut",
    "crossing",
    "list_layers",
    "make_cut",
    "make_suffix",
    "parameters",
    "symbolic",
    "training_device",
    "weights_digests",
    "with_weights",
]
