"""ONNX: any ``onnx.ModelProto`` with inputs of data; every tensor it computes is a layer."""

from cutpoint.networks.frameworks.onnx.cut import OnnxCut, make_cut
from cutpoint.networks.frameworks.onnx.graph import NetworkInput, data_inputs
from cutpoint.networks.frameworks.onnx.layers import list_layers
from cutpoint.networks.frameworks.onnx.symbolic import symbolic
from cutpoint.networks.frameworks.onnx.weights import WHEN_CHANGED, weights_digests

trained_by = "an ONNX graph"

__all__ = [
    "WHEN_CHANGED",
    "NetworkInput",
    "OnnxCut",
    "data_inputs",
    "list_layers",
    "make_cut",
    "symbolic",
    "trained_by",
    "weights_digests",
]
