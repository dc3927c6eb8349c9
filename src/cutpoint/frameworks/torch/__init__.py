"""PyTorch: any ``nn.Module``."""

from cutpoint.frameworks.torch.cut import MASKS_PADDING, TorchCut, make_cut
from cutpoint.frameworks.torch.layers import list_layers
from cutpoint.frameworks.torch.symbolic import symbolic

__all__ = ["MASKS_PADDING", "TorchCut", "list_layers", "make_cut", "symbolic"]
