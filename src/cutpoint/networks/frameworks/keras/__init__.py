"""Keras 3: functional, sequential, nested and subclassed networks."""

from cutpoint.networks.frameworks.keras.cut import KerasCut, make_cut
from cutpoint.networks.frameworks.keras.layers import list_layers
from cutpoint.networks.frameworks.keras.suffix import (
    crossing,
    make_suffix,
    parameters,
    training_device,
    with_weights,
)
from cutpoint.networks.frameworks.keras.symbolic import symbolic
from cutpoint.networks.frameworks.keras.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "KerasCut",
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
