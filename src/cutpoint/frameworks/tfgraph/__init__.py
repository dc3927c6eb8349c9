"""TensorFlow graphs: frozen, with one data input."""

from cutpoint.frameworks.tfgraph.cut import GraphCut, make_cut
from cutpoint.frameworks.tfgraph.layers import list_layers
from cutpoint.frameworks.tfgraph.network import GraphNetwork, graph_network
from cutpoint.frameworks.tfgraph.symbolic import symbolic

__all__ = ["GraphCut", "GraphNetwork", "graph_network", "list_layers", "make_cut", "symbolic"]
