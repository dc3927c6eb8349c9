"""Which axis of a tensor is what."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cutpoint.networks.frameworks.onnx.graph import Graph, attribute, outputs_of

Shapes = dict[str, tuple[int, ...]]

# ONNX defines these for channels at axis 1, in and out.
_CHANNELS_FIRST = {
    *("Conv", "ConvInteger", "ConvTranspose", "QLinearConv", "FusedConv", "MaxPool", "AveragePool"),
    *("LpPool", "LRN", "GlobalAveragePool", "GlobalMaxPool", "BatchNormalization"),
    *("InstanceNormalization", "GroupNormalization", "DepthToSpace", "SpaceToDepth"),
}
_AXES_GONE = ("Squeeze", "Reduce", "ArgM", "Gather")  # how kinds begin that take axes away
_FIRST = {2: "NC", 3: "NCT", 4: "NCHW", 5: "NCDHW"}


def tensor_layouts(graph: Graph, shapes: Shapes) -> dict[str, str]:
    """Return the layout of every tensor that depends on the data; empty where nobody can tell.

    What convolutions and pools read and write has its channels at axis 1. From there layouts are
    followed through the graph, and where the thread is lost the shape is asked: of a square map
    the axis that differs is the channels.
    """
    known = {
        name: _FIRST.get(len(shapes[name]), "")
        for node in graph.nodes
        if node.op_type in _CHANNELS_FIRST
        for name in (*node.input[:1], *node.output[:1])
        if name in shapes
    }
    found: dict[str, str | None] = {
        source.name: known.get(source.name) or source.layout or None for source in graph.inputs
    }
    for node in graph.nodes:
        for name in outputs_of(node):
            found[name] = known.get(name) or _followed(graph, node, shapes[name], found, shapes)
    return {
        name: _by_shape(shapes[name]) if layout is None else layout
        for name, layout in found.items()
    }


def _followed(
    graph: Graph,
    node: Any,
    shape: tuple[int, ...],
    found: dict[str, str | None],
    shapes: Shapes,
) -> str | None:
    """Return the layout of what `node` makes of its inputs; None if that can't be told."""
    reads = graph.data_read(node)
    if not reads:
        return None
    layout, before = found[reads[0]], shapes[reads[0]]
    if node.op_type in ("MatMul", "Einsum") and len(reads) > 1 and len(shape) > 3:
        return ""  # attention: heads × tokens × tokens looks like a map and is none
    if node.op_type == "Transpose" and layout:
        order = attribute(node, "perm", range(len(shape))[::-1])
        return "".join(layout[axis] for axis in order)
    if node.op_type == "Reshape" and layout:
        return _reshaped(layout, before, shape)
    if node.op_type in ("Transpose", "Reshape"):
        return None
    # Among several, those that are not stretched to the result's shape.
    alike = [name for name in reads if shapes[name] == shape]
    alike = alike or [name for name in reads if len(shapes[name]) == len(shape)]
    if alike:
        return next((found[name] for name in alike if found[name] is not None), None)
    return _dropped(graph, node, layout, len(shape)) if layout else None


def _reshaped(layout: str, before: tuple[int, ...], after: tuple[int, ...]) -> str | None:
    if before == after:
        return layout
    n_places = math.prod(before[2:])
    if layout[1:2] == "C" and after == (*before[:2], n_places) and len(before) > 3:
        return "NCT"  # how vision transformers flatten what their first convolution gives
    return None


def _dropped(graph: Graph, node: Any, layout: str, rank: int) -> str | None:
    """Return `layout` without the axes that `node` takes away; None if that can't be told."""
    axes = _axes(graph, node)
    if axes is None or not node.op_type.startswith(_AXES_GONE):
        return None
    gone = {int(axis) % len(layout) for axis in np.atleast_1d(axes)}
    left = "".join(letter for axis, letter in enumerate(layout) if axis not in gone)
    if len(left) != rank:
        return None
    space = [letter for letter in left if letter in "DHW"]
    return left.replace(space[0], "T") if len(space) == 1 else left


def _axes(graph: Graph, node: Any) -> Any:
    if node.op_type == "Gather":
        return attribute(node, "axis", 0)
    axes = attribute(node, "axes", attribute(node, "axis"))
    if axes is None and len(node.input) > 1:
        return graph.constant(node.input[1])
    return axes


def _by_shape(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        is_first, is_last = shape[2] == shape[3], shape[1] == shape[2]
        return "" if is_first == is_last else "NCHW" if is_first else "NHWC"
    return {2: "NC", 3: "NTC"}.get(len(shape), "")
