"""PyTorch: any ``nn.Module``."""

from cutpoint.frameworks.torch.cut import MASKS_PADDING, TorchCut, make_cut
from cutpoint.frameworks.torch.layers import list_layers
from cutpoint.frameworks.torch.symbolic import symbolic
from cutpoint.frameworks.torch.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "MASKS_PADDING",
    "WHEN_CHANGED",
    "TorchCut",
    "list_layers",
    "make_cut",
    "symbolic",
    "weights_digests",
]
