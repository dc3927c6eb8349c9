"""Keras 3: functional, sequential, nested and subclassed networks."""

from cutpoint.networks.frameworks.keras import suffix as trained_by
from cutpoint.networks.frameworks.keras.cut import KerasCut, make_cut
from cutpoint.networks.frameworks.keras.layers import list_layers
from cutpoint.networks.frameworks.keras.symbolic import symbolic
from cutpoint.networks.frameworks.keras.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "KerasCut",
    "list_layers",
    "make_cut",
    "symbolic",
    "trained_by",
    "weights_digests",
]
