"""Keras 3: functional, sequential, nested and subclassed networks."""

from cutpoint.frameworks.keras.cut import KerasCut, make_cut
from cutpoint.frameworks.keras.layers import list_layers
from cutpoint.frameworks.keras.symbolic import symbolic

__all__ = ["KerasCut", "list_layers", "make_cut", "symbolic"]
