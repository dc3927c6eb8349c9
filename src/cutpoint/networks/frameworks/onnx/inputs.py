"""Prepared batch → what the network takes, as nodes before its own."""

from __future__ import annotations

import numpy as np

from cutpoint.base.spec import Preprocess, PreprocessSpec
from cutpoint.networks.frameworks.onnx.graph import NetworkInput
from cutpoint.networks.frameworks.onnx.ops import Builder


def item_shape(source: NetworkInput, preprocess: Preprocess) -> tuple[int, ...]:
    """Return the shape in which the network takes one item."""
    if source.layout == "NCHW" and isinstance(preprocess, PreprocessSpec):
        height, width, channels = preprocess.array_shape
        return (channels, height, width)
    return preprocess.array_shape


def add_input(builder: Builder, batch: str, source: NetworkInput, preprocess: Preprocess) -> None:
    """Append the nodes from input `batch` to the network's own input.

    Images: uint8 NHWC RGB → normalised in float32, in the order of colours and axes the weights
    want. Arrays go through as they are. A network in float16 is given the nearest float16 numbers;
    between its nodes onnxruntime keeps float16 where the processor has it and float32 elsewhere,
    and taps are float32 before pools run. What overflows float16 stays infinite up to the caller.
    """
    if isinstance(preprocess, PreprocessSpec):
        batch = _normalised(builder, batch, source, preprocess)
    builder.cast(batch, source.dtype, result=source.name)


def _normalised(
    builder: Builder, batch: str, source: NetworkInput, preprocess: PreprocessSpec
) -> str:
    if preprocess.channels == "BGR":
        batch = builder.add("Gather", batch, builder.constant([2, 1, 0], "int64"), axis=3)
    images = builder.cast(batch, "float32")
    if source.layout == "NCHW":
        images = builder.add("Transpose", images, perm=(0, 3, 1, 2))
    each = (3, 1, 1) if source.layout == "NCHW" else (3,)
    mean = builder.constant(np.reshape(preprocess.mean, each))
    std = builder.constant(np.reshape(preprocess.std, each))
    return builder.add("Div", builder.add("Sub", images, mean), std)
