"""PyTorch: any ``nn.Module``."""

from cutpoint.frameworks.torch.cut import TorchCut, make_cut
from cutpoint.frameworks.torch.layers import list_layers

__all__ = ["TorchCut", "list_layers", "make_cut"]
