"""ONNX: any ``onnx.ModelProto`` with inputs of data; every tensor it computes is a layer."""

from cutpoint.networks.frameworks.onnx.cut import OnnxCut, make_cut
from cutpoint.networks.frameworks.onnx.graph import NetworkInput, data_inputs
from cutpoint.networks.frameworks.onnx.layers import list_layers
from cutpoint.networks.frameworks.onnx.suffix import (
    crossing,
    make_suffix,
    parameters,
    training_device,
    with_weights,
)
from cutpoint.networks.frameworks.onnx.symbolic import symbolic
from cutpoint.networks.frameworks.onnx.weights import WHEN_CHANGED, weights_digests

__all__ = [
    "WHEN_CHANGED",
    "NetworkInput",
    "OnnxCut",
    "crossing",
    "data_inputs",
    "list_layers",
    "make_cut",
    "make_suffix",
    "parameters",
    "symbolic",
    "training_device",
    "weights_digests",
    "with_weights",
]
