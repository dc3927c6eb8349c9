"""Prepared batch → what the network takes, as nodes before its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cutpoint.base.contracts import InGraph
from cutpoint.base.spec import Preprocess
from cutpoint.items.kinds import in_graph
from cutpoint.networks.frameworks.inputs import FREE, fed_by
from cutpoint.networks.frameworks.onnx.graph import Graph, NetworkInput
from cutpoint.networks.frameworks.onnx.ops import Builder


def item_shapes(
    graph: Graph, preprocess: Preprocess, what: str, free: int = FREE
) -> dict[str, tuple[int, ...]]:
    """Return the shape in which the network takes one item, by input; free sizes are `free`."""
    fed = fed_by(preprocess.inputs, [each.name for each in graph.inputs], what)
    ways = in_graph(preprocess)
    return {
        source.name: item_shape(
            source, preprocess.inputs[fed[source.name]].sized(free), ways[fed[source.name]]
        )
        for source in graph.inputs
    }


def item_shape(source: NetworkInput, shape: tuple[int, ...], way: InGraph) -> tuple[int, ...]:
    """Return the shape in which an input takes an item that is prepared in `shape`."""
    if source.layout == "NCHW" and way.layout == "NHWC":
        height, width, channels = shape
        return (channels, height, width)
    return shape


def add_inputs(
    builder: Builder, batch: Mapping[str, str], graph: Graph, preprocess: Preprocess, what: str
) -> None:
    """Append the nodes from the tensors `batch`, by input, to the network's own inputs.

    Images: uint8 NHWC RGB → normalised in float32, in the order of colours and axes the weights
    want. Arrays go through as they are. A network in float16 is given the nearest float16 numbers;
    between its nodes onnxruntime keeps float16 where the processor has it and float32 elsewhere,
    and taps are float32 before pools run. What overflows float16 stays infinite up to the caller.
    """
    fed = fed_by(preprocess.inputs, [each.name for each in graph.inputs], what)
    ways = in_graph(preprocess)
    for source in graph.inputs:
        name = batch[fed[source.name]]
        way = ways[fed[source.name]]
        ready = _normalised(builder, name, source, way) if way else name
        builder.cast(ready, source.dtype, result=source.name)


def _normalised(builder: Builder, batch: str, source: NetworkInput, way: InGraph) -> str:
    if way.order:
        batch = builder.add("Gather", batch, builder.constant(way.order, "int64"), axis=3)
    images = builder.cast(batch, "float32")
    if source.layout == "NCHW":
        images = builder.add("Transpose", images, perm=(0, 3, 1, 2))
    each = (-1, 1, 1) if source.layout == "NCHW" else (-1,)
    mean = builder.constant(np.reshape(way.mean, each))
    std = builder.constant(np.reshape(way.std, each))
    return builder.add("Div", builder.add("Sub", images, mean), std)
