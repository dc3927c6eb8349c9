"""TensorFlow graphs: frozen, with inputs of data."""

from cutpoint.networks.frameworks.tfgraph.cut import GraphCut, make_cut
from cutpoint.networks.frameworks.tfgraph.layers import list_layers
from cutpoint.networks.frameworks.tfgraph.network import GraphNetwork, graph_network, renamed
from cutpoint.networks.frameworks.tfgraph.suffix import (
    crossing,
    make_suffix,
    parameters,
    training_device,
    with_weights,
)
from cutpoint.networks.frameworks.tfgraph.symbolic import symbolic
from cutpoint.networks.frameworks.tfgraph.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "GraphCut",
    "GraphNetwork",
    "crossing",
    "graph_network",
    "list_layers",
    "make_cut",
    "make_suffix",
    "parameters",
    "renamed",
    "symbolic",
    "training_device",
    "weights_digests",
    "with_weights",
]
