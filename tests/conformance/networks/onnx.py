"""Tiny ONNX networks; onnxruntime is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from cutpoint.base.spec import PreprocessSpec
from cutpoint.networks.backbone import LoadOptions
from cutpoint.networks.sources import load_backbone
from tests.conformance.networks import SIDE, Case, Made

PREPROCESS = PreprocessSpec(SIDE, SIDE, "bilinear", (120.0, 110.0, 100.0), (60.0, 61.0, 62.0))


def model_of(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    takes: Sequence[int | str],
    gives: str,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
    rank: int = 2,
) -> onnx.ModelProto:
    """Return a checked model with the input ``pixels``."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", dtype, takes)],
        [helper.make_tensor_value_info(gives, dtype, [f"size_{axis}" for axis in range(rank)])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def convnet(
    layout: str = "NCHW", batch: int | str = 1, opset: int = 17, dtype: str = "float32"
) -> onnx.ModelProto:
    """Return two convolutions of stride 2, a global mean and a linear layer.

    With ``layout="NHWC"`` as TensorFlow's converters write it: turned before and after.
    """
    random = np.random.default_rng(0)
    weights = {
        "conv1_w": random.normal(0, 0.2, (8, 3, 3, 3)),
        "conv1_b": random.normal(0, 0.2, 8),
        "conv2_w": random.normal(0, 0.2, (16, 8, 3, 3)),
        "fc_w": random.normal(0, 0.2, (16, 5)),
    }
    first = "pixels"
    nodes, takes = [], [batch, 3, SIDE, SIDE]
    if layout == "NHWC":
        first, takes = "turned", [batch, SIDE, SIDE, 3]
        nodes += [helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])]
    space = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes += [
        helper.make_node("Conv", [first, "conv1_w", "conv1_b"], ["conv1"], **space),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("Conv", ["relu1", "conv2_w"], ["conv2"], **space),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
    ]
    if layout == "NHWC":
        nodes += [helper.make_node("Transpose", ["relu2"], ["back"], perm=[0, 2, 3, 1])]
    nodes += [
        helper.make_node("GlobalAveragePool", ["relu2"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc_w"], ["logits"]),
    ]
    if layout == "NHWC":  # what is turned back is read, so that no exporter would drop it
        nodes += [
            helper.make_node("ReduceMean", ["back"], ["level"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["level", "one"], ["column"]),
            helper.make_node("Add", ["logits", "column"], ["sum"]),
        ]
        weights["one"] = np.array([1])
    typed = {
        name: value.astype(dtype) if value.dtype.kind == "f" else value
        for name, value in weights.items()
    }
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return model_of(nodes, typed, takes, nodes[-1].output[0], opset, kind)


def normalised(batch: np.ndarray, layout: str = "NCHW") -> np.ndarray:
    """Return a uint8 batch as the weights want it."""
    images = (batch - np.array(PREPROCESS.mean)) / np.array(PREPROCESS.std)
    return np.ascontiguousarray(np.moveaxis(images, 3, 1) if layout == "NCHW" else images)


def own_output(model: onnx.ModelProto, layer: str, batch: np.ndarray) -> np.ndarray:
    """Return what onnxruntime itself, as it comes, gives for a tensor, item by item."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.append(onnx.ValueInfoProto(name=layer))
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: item[None]})[0] for item in batch])


def _case(name: str, layout: str, batch: int | str) -> Case:
    def make(folder: Path) -> Made:
        model = convnet(layout, batch)
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        backbone = load_backbone(f"onnx:{path}", LoadOptions(preprocess=PREPROCESS))

        def reference(layer: str, batch: np.ndarray) -> np.ndarray:
            return own_output(model, layer, normalised(batch, layout).astype(np.float32))

        def weights() -> dict[str, np.ndarray]:
            held = backbone.network.graph.initializer
            return {tensor.name: numpy_helper.to_array(tensor) for tensor in held}

        return Made(backbone, reference, weights)

    def unstated(folder: Path) -> object:
        onnx.save(convnet(layout, batch), folder / f"{name}.onnx")
        return load_backbone(f"onnx:{folder / name}.onnx")

    return Case(name, make, unstated=unstated)


CASES = [_case("onnx", "NCHW", 1), _case("onnx_nhwc", "NHWC", "batch")]
