"""List the tensors of an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Constants, Preprocess
from cutpoint.base.tongue import option
from cutpoint.networks.frameworks.inputs import FREE, OTHER, first_shape, free_shape, is_free
from cutpoint.networks.frameworks.onnx.cost import is_learned, node_macs, node_params
from cutpoint.networks.frameworks.onnx.graph import Graph, outputs_of
from cutpoint.networks.frameworks.onnx.inputs import item_shapes
from cutpoint.networks.frameworks.onnx.layouts import tensor_layouts
from cutpoint.networks.frameworks.onnx.shapes import TensorType, tensor_types
from cutpoint.networks.layer_table import (
    ANSWER,
    FEATURES,
    HANDS_ON,
    INPUT,
    PROBABILITIES,
    Layer,
    LayerTable,
    stride_of,
)

_NO_ACTIVATIONS = ("bool", "int64", "uint64")  # quantised activations have 8 bits, their sums 32
# Their shape depends on the values of an item, so items of a batch would not fit together.
_SHAPED_BY_VALUES = ("NonZero", "NonMaxSuppression", "Unique", "Compress")


def list_layers(
    network: Any, preprocess: Preprocess, name: str = "", constants: Constants = ()
) -> LayerTable:
    """Return every tensor that is computed from the data, in the order of computation.

    Parameters
    ----------
    network : onnx.ModelProto
        Its inputs without a default are those of `preprocess`; constants have become defaults.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Says what one item looks like.
    name : str
        How the backbone is called in messages.

    Notes
    -----
    Names are those of the file's tensors, kinds those of the nodes that compute them. What is
    computed from weights or sizes alone is no layer. A tensor is a tap if its first axis is the
    batch and its shape is the same for every item, but for sizes that the input leaves free.
    """
    graph = Graph(network)
    types = tensor_types(graph, item_shapes(graph, preprocess, name), name)
    others = types
    if is_free(preprocess):
        _refuse_too_short(types, name)
        others = tensor_types(graph, item_shapes(graph, preprocess, name, OTHER), name)
    shapes = {each: kind.shape for each, kind in types.items()}
    layouts = tensor_layouts(graph, shapes)
    side = _side(graph, layouts, shapes, preprocess)
    loose = _shaped_by_values(graph)
    learned, answers = _learned(graph), _answers(graph)
    macs = 0
    rows: list[Layer] = []
    for node in graph.nodes:
        macs += node_macs(node, shapes)
        for place, tensor in enumerate(outputs_of(node)):
            params = 0 if place else node_params(graph, node)
            row = _layer(len(rows), tensor, node.op_type, types[tensor], layouts[tensor], side)
            row = replace(row, shape=free_shape(row.shape, (None, *others[tensor].shape[1:])))
            why = "its shape is not the same for every item" if tensor in loose else row.why_no_tap
            holds = ANSWER if tensor in answers else FEATURES if tensor in learned else INPUT
            row = replace(row, holds=holds, why_no_tap=why, tappable=not why)
            rows.append(replace(row, params=params, macs=macs))
    return LayerTable(name, tuple(rows), graph.inputs[0].name)


def _refuse_too_short(types: Mapping[str, Any], name: str) -> None:
    """Raise `UsageError` if nothing is left of items of `FREE` sizes, as of a long window."""
    if all(size is None or size >= 0 for each in types.values() for size in each.shape):
        return
    raise UsageError(
        f'The network of "{name}" leaves a size open, and items of {FREE} are too short for it.',
        "Its windows are longer, so nothing would be left of them.",
        "The shape of an item, stated: of audio so many samples.",
        'Put into a JSON file:  {"shape": [16000], "dtype": "float32"}   and type:  '
        f"{option('preprocess', 'FILE.json')}",
    )


def _side(
    graph: Graph, layouts: dict[str, str], shapes: dict[str, Any], preprocess: Preprocess
) -> int | None:
    """Return the height that strides count from."""
    source = graph.inputs[0].name
    side = _height(layouts[source], shapes[source])
    first = first_shape(preprocess)
    return first[0] if side is None and len(first) > 1 else side  # spectra, whose axes nobody names


def _learned(graph: Graph) -> set[str]:
    """Return the tensors that something learned has a part in; all, if nothing in the graph is."""
    found: set[str] = set()
    for node in graph.nodes:
        if is_learned(graph, node) or not found.isdisjoint(node.input):
            found.update(outputs_of(node))
    return found or graph.data


def _answers(graph: Graph) -> set[str]:
    """Return the tensors from a final softmax or sigmoid on, whatever only hands it on."""
    found: set[str] = set()
    for info in graph.model.graph.output:
        name, chain = info.name, []
        while name in graph.data and name in graph.producers:
            node = graph.producers[name]
            chain.append(name)
            if _is_softmax(graph, node):
                chain += node.input
            if node.op_type.lower() in PROBABILITIES or _is_softmax(graph, node):
                found.update(chain)
                break
            name = node.input[0] if node.op_type.lower() in HANDS_ON else ""
    return found


def _is_softmax(graph: Graph, node: Any) -> bool:
    """Say whether `node` is the last of a softmax in pieces: Exp divided by its own sum."""
    if node.op_type != "Div" or not {*node.input} <= graph.producers.keys():
        return False
    exponential, total = (graph.producers[name] for name in node.input)
    return bool(
        exponential.op_type == "Exp"
        and total.op_type == "ReduceSum"
        and total.input[0] == node.input[0]
    )


def _layer(
    index: int, name: str, kind: str, found: TensorType, layout: str, side: int | None
) -> Layer:
    layout = layout if layout.startswith("N") and "C" in layout else ""
    height = _height(layout, found.shape)
    why = _why_no_tap(found)
    return Layer(
        index=index,
        name=name,
        kind=kind,
        shape=(None, *found.shape[1:]),
        stride=stride_of(side, height) if side and height else None,
        params=0,
        macs=0,
        tappable=not why,
        layout=layout,
        why_no_tap=why,
    )


def _why_no_tap(found: TensorType) -> str:
    if not found.dtype:
        return "it is no plain array of numbers"
    if found.dtype in _NO_ACTIVATIONS:
        return f"its values are {found.dtype}, which count or choose and are no activations"
    return "" if found.shape[:1] == (1,) else "its first axis is not the batch"


def _height(layout: str, shape: tuple[int, ...]) -> int | None:
    return shape[layout.index("H")] if "H" in layout else None


def _shaped_by_values(graph: Graph) -> set[str]:
    """Return the tensors whose shape can differ from item to item."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.op_type in _SHAPED_BY_VALUES or not found.isdisjoint(node.input):
            found.update(outputs_of(node))
    return found
