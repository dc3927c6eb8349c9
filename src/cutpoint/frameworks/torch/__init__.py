"""PyTorch: any ``nn.Module``."""

from cutpoint.frameworks.torch.cut import TorchCut, make_cut
from cutpoint.frameworks.torch.layers import list_layers
from cutpoint.frameworks.torch.symbolic import symbolic

__all__ = ["TorchCut", "list_layers", "make_cut", "symbolic"]
