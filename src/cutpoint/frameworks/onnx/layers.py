"""List the tensors of an ONNX graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cutpoint.frameworks.onnx.cost import node_macs, node_params
from cutpoint.frameworks.onnx.graph import Graph, outputs_of
from cutpoint.frameworks.onnx.inputs import item_shape
from cutpoint.frameworks.onnx.layouts import tensor_layouts
from cutpoint.frameworks.onnx.shapes import TensorType, tensor_types
from cutpoint.layer_table import Layer, LayerTable, stride_of
from cutpoint.spec import Preprocess

# Their shape depends on the values of an item, so items of a batch would not fit together.
_SHAPED_BY_VALUES = ("NonZero", "NonMaxSuppression", "Unique", "Compress")


def list_layers(network: Any, preprocess: Preprocess, name: str = "") -> LayerTable:
    """Return every tensor that is computed from the data, in the order of computation.

    Parameters
    ----------
    network : onnx.ModelProto
        With one input that has no default.
    preprocess : PreprocessSpec or ArraySpec
        Says what one item looks like.
    name : str
        How the backbone is called in messages.

    Notes
    -----
    Names are those of the file's tensors, kinds those of the nodes that compute them. What is
    computed from weights or sizes alone is no layer. A tensor is a tap if its first axis is the
    batch and its shape is the same for every item.
    """
    graph = Graph(network)
    types = tensor_types(graph, item_shape(graph.input, preprocess), name)
    shapes = {each: kind.shape for each, kind in types.items()}
    layouts = tensor_layouts(graph, shapes)
    side = _height(layouts[graph.input.name], shapes[graph.input.name])
    loose = _shaped_by_values(graph)
    macs = 0
    rows: list[Layer] = []
    for node in graph.nodes:
        macs += node_macs(node, shapes)
        for place, tensor in enumerate(outputs_of(node)):
            params = 0 if place else node_params(graph, node)
            row = _layer(len(rows), tensor, node.op_type, types[tensor], layouts[tensor], side)
            tappable = row.tappable and tensor not in loose
            rows.append(replace(row, params=params, macs=macs, tappable=tappable))
    return LayerTable(name, tuple(rows))


def _layer(
    index: int, name: str, kind: str, found: TensorType, layout: str, side: int | None
) -> Layer:
    layout = layout if layout.startswith("N") and "C" in layout else ""
    height = _height(layout, found.shape)
    return Layer(
        index=index,
        name=name,
        kind=kind,
        shape=(None, *found.shape[1:]),
        stride=stride_of(side, height) if side and height else None,
        params=0,
        macs=0,
        tappable=bool(found.dtype) and found.shape[:1] == (1,),
        layout=layout,
    )


def _height(layout: str, shape: tuple[int, ...]) -> int | None:
    return shape[layout.index("H")] if "H" in layout else None


def _shaped_by_values(graph: Graph) -> set[str]:
    """Return the tensors whose shape can differ from item to item."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.op_type in _SHAPED_BY_VALUES or not found.isdisjoint(node.input):
            found.update(outputs_of(node))
    return found
