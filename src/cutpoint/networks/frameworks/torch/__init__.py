"""PyTorch: any ``nn.Module``."""

from cutpoint.networks.frameworks.torch import suffix as trained_by
from cutpoint.networks.frameworks.torch.cut import TorchCut, make_cut
from cutpoint.networks.frameworks.torch.layers import list_layers
from cutpoint.networks.frameworks.torch.symbolic import symbolic
from cutpoint.networks.frameworks.torch.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "TorchCut",
    "list_layers",
    "make_cut",
    "symbolic",
    "trained_by",
    "weights_digests",
]
