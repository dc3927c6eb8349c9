"""List the layers of a ``keras.Model`` by running it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from cutpoint.base.spec import Constants, Preprocess
from cutpoint.base.types import blank_batch
from cutpoint.networks.frameworks.inputs import (
    FREE,
    OTHER,
    first_shape,
    free_shape,
    is_free,
    picture_sides,
)
from cutpoint.networks.frameworks.keras.watch import (
    all_layers,
    call_network,
    is_channels_first,
    watched,
)
from cutpoint.networks.layer_table import (
    ANSWER,
    FEATURES,
    HANDS_ON,
    INPUT,
    IS_INPUT,
    PROBABILITIES,
    Layer,
    LayerTable,
    end_in_probabilities,
    stride_of,
)
from cutpoint.networks.runtimes.tensorflow import import_tensorflow, operation_macs

_OPERATION = "TFOpLambda"  # one of TensorFlow's functions, which may be no more than a cast


class _Call:
    """What one call of one layer showed."""

    def __init__(self, name: str, output: Any, macs: int) -> None:
        self.name, self.macs = name, macs
        shape = getattr(output, "shape", None)
        self.is_tensor = shape is not None
        self.shape = tuple(shape) if shape is not None else ()


def list_layers(
    network: Any, preprocess: Preprocess, name: str = "", constants: Constants = ()
) -> LayerTable:
    """Return all layers in the order of ``model.layers``, so that indices mean what Keras means.

    Parameters
    ----------
    network : keras.Model
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Says what one item looks like.
    name : str
        How the backbone is called in messages.
    constants : Constants
        What the other inputs are given.

    Notes
    -----
    Input layers, layers that are called more than once and those whose output is not one tensor
    are no taps. Layers of a subclassed network stand in the order in which they finish.
    MACs are those of convolutions and matrix products.
    """
    layers = all_layers(network)
    calls, others = _recorded(network, layers, preprocess, constants, name)
    by_name = {call.name: call for call in reversed(calls)}
    times = Counter(call.name for call in calls)
    has_order = bool(getattr(network, "inputs", None))  # functional or sequential
    names = list(layers) if has_order else list(by_name)[::-1]
    first = is_channels_first(network)
    answers = _answers(network)
    rows: list[Layer] = []
    for each in names:
        if each in by_name or type(layers[each]).__name__ == "InputLayer":
            call = by_name.get(each)
            row = _layer(len(rows), each, layers[each], call, times[each], preprocess, first)
            row = replace(
                row, shape=(None, *free_shape(row.shape, others.get(each, row.shape))[1:])
            )
            is_given = row.kind == _OPERATION and not any(
                before.macs or before.params for before in (*rows, row)
            )
            holds = ANSWER if each in answers else INPUT if is_given else row.holds
            rows.append(replace(row, holds=holds))
    return LayerTable(name, tuple(rows if answers or has_order else end_in_probabilities(rows)))


def _answers(network: Any) -> set[str]:
    """Return the layers from a final softmax or sigmoid on, of a network with a graph."""
    found: set[str] = set()
    for output in getattr(network, "outputs", None) or ():
        layer, chain = output._keras_history.operation, []
        while layer is not None:
            chain.append(layer.name)
            if _gives_probabilities(layer):
                found.update(chain)
                break
            layer = _only_before(layer) if _hands_on(layer) else None
    return found


def _gives_probabilities(layer: Any) -> bool:
    return any(said in PROBABILITIES for said in _said(layer))


def _hands_on(layer: Any) -> bool:
    kind, function = _said(layer)
    return (
        kind in HANDS_ON or function in HANDS_ON or (kind == "activation" and function == "linear")
    )


def _said(layer: Any) -> tuple[str, str]:
    """Return the kind of a layer, and the function it ends with or is made of."""
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    function = str(getattr(layer, "function", "")).rpartition(".")[2]  # of a TFOpLambda
    return type(layer).__name__.lower(), activation or function.replace("_", "")


def _only_before(layer: Any) -> Any | None:
    """Return the layer whose output the one call of `layer` takes; None if that is not clear."""
    nodes = layer._inbound_nodes
    before: list[Any] = nodes[0].parent_nodes if len(nodes) == 1 else []
    return before[0].operation if len(before) == 1 else None


def _recorded(
    network: Any, layers: dict[str, Any], preprocess: Preprocess, constants: Constants, name: str
) -> tuple[list[_Call], dict[str, tuple[int, ...]]]:
    """Run the network once on one item of zeros and note every layer's output.

    Beside them, their shapes where inputs are of another size, if they are free.
    """
    first = is_channels_first(network)

    def run(batch: Any) -> Any:
        return call_network(network, batch, preprocess, first, constants, name)

    on_torch = keras.backend.backend() == "torch"
    record = _record_torch if on_torch else _record_tensorflow
    calls = record(run, layers, blank_batch(preprocess.inputs, 1, FREE))
    if not is_free(preprocess):
        return calls, {}
    again = record(run, layers, blank_batch(preprocess.inputs, 1, OTHER))
    return calls, {call.name: call.shape for call in again}


def _record_tensorflow(run: Callable[[Any], Any], layers: dict[str, Any], item: Any) -> list[_Call]:
    """Trace, which computes nothing; count the operations in the graph."""
    tf = import_tensorflow()
    calls: list[tuple[str, Any, int]] = []
    graph = None

    def trace(batch: Any) -> Any:
        nonlocal graph
        graph = tf.compat.v1.get_default_graph()

        def note(name: str, output: Any) -> None:
            calls.append((name, output, len(graph.get_operations())))

        with watched(layers, note):
            return run(batch)

    specs = {name: tf.TensorSpec(each.shape, each.dtype) for name, each in item.items()}
    tf.function(trace, autograph=False).get_concrete_function(specs)
    assert graph is not None
    totals = [0]
    for operation in graph.get_operations():
        totals.append(totals[-1] + operation_macs(operation))
    return [_Call(name, output, totals[n_before]) for name, output, n_before in calls]


def _record_torch(run: Callable[[Any], Any], layers: dict[str, Any], item: Any) -> list[_Call]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    calls: list[_Call] = []
    counter = FlopCounterMode(display=False)

    def note(name: str, output: Any) -> None:
        calls.append(_Call(name, output, counter.get_total_flops() // 2))

    with counter, torch.no_grad(), watched(layers, note):
        run(item)
    return calls


def _layer(
    index: int,
    name: str,
    layer: Any,
    call: _Call | None,
    n_calls: int,
    preprocess: Preprocess,
    channels_first: bool,
) -> Layer:
    side, sides = first_shape(preprocess)[0], picture_sides(preprocess)
    shape = call.shape if call else tuple(layer.batch_shape)
    is_square = sides is not None and sides[0] == sides[1]
    layout = _layout(layer, shape, channels_first, is_square)
    height = shape[layout.index("H")] if "H" in layout else None
    why = _why_no_tap(call, n_calls)
    return Layer(
        index=index,
        name=name,
        kind=type(layer).__name__,
        shape=(None, *shape[1:]),
        layout=layout,
        stride=stride_of(side, height) if height else None,
        params=layer.count_params() if layer.built else 0,
        macs=call.macs if call else 0,
        tappable=not why,
        is_block=bool(getattr(layer, "layers", ())),
        holds=FEATURES if call else INPUT,
        why_no_tap=why,
    )


def _why_no_tap(call: _Call | None, n_calls: int) -> str:
    if call is None:
        return IS_INPUT
    if not call.is_tensor:
        return "it gives several tensors, or none"
    return "" if n_calls == 1 else f"it is called {n_calls} times, on different data"


def _layout(
    layer: Any, shape: tuple[int | None, ...], channels_first: bool, is_square: bool
) -> str:
    """Return the axes' letters; images are square, so what is higher than wide is no map."""
    given = getattr(layer, "data_format", None)
    first = given == "channels_first" if given else channels_first
    last = {2: "NC", 3: "NTC", 4: "NHWC", 5: "NDHWC"}
    found = ({**last, 4: "NCHW", 5: "NCDHW"} if first else last).get(len(shape), "")
    if is_square and len(shape) == 4 and shape[found.index("H")] != shape[found.index("W")]:
        return ""
    return found
