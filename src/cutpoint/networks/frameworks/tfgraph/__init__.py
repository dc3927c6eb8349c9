"""TensorFlow graphs: frozen, with inputs of data."""

from cutpoint.networks.frameworks.tfgraph.cut import GraphCut, make_cut
from cutpoint.networks.frameworks.tfgraph.layers import list_layers
from cutpoint.networks.frameworks.tfgraph.network import GraphNetwork, graph_network, renamed
from cutpoint.networks.frameworks.tfgraph.symbolic import symbolic
from cutpoint.networks.frameworks.tfgraph.weights import WHEN_CHANGED, weights_digests

trained_by = "a frozen TensorFlow graph"

__all__ = [
    "WHEN_CHANGED",
    "GraphCut",
    "GraphNetwork",
    "graph_network",
    "list_layers",
    "make_cut",
    "renamed",
    "symbolic",
    "trained_by",
    "weights_digests",
]
