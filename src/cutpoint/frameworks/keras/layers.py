"""List the layers of a ``keras.Model`` by running it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cutpoint.errors import UsageError
from cutpoint.frameworks.keras.watch import (
    all_layers,
    call_network,
    is_channels_first,
    network_input,
    watched,
)
from cutpoint.layer_table import Layer, LayerTable, stride_of
from cutpoint.runtimes.tensorflow import import_tensorflow, operation_macs
from cutpoint.spec import Preprocess, PreprocessSpec


class _Call:
    """What one call of one layer showed."""

    def __init__(self, name: str, output: Any, macs: int) -> None:
        self.name, self.macs = name, macs
        shape = getattr(output, "shape", None)
        self.is_tensor = shape is not None
        self.shape = tuple(shape) if shape is not None else ()


def list_layers(network: Any, preprocess: Preprocess, name: str = "") -> LayerTable:
    """Return all layers in the order of ``model.layers``, so that indices mean what Keras means.

    Parameters
    ----------
    network : keras.Model
        With one input.
    preprocess : PreprocessSpec or ArraySpec
        Says what one item looks like.
    name : str
        How the backbone is called in messages.

    Notes
    -----
    Input layers, layers that are called more than once and those whose output is not one tensor
    are no taps. Layers of a subclassed network stand in the order in which they finish.
    MACs are those of convolutions and matrix products.
    """
    _refuse_several_inputs(network, name)
    layers = all_layers(network)
    calls = _record(network, layers, preprocess)
    by_name = {call.name: call for call in reversed(calls)}
    times = Counter(call.name for call in calls)
    has_order = bool(getattr(network, "inputs", None))  # functional or sequential
    names = list(layers) if has_order else list(by_name)[::-1]
    first = is_channels_first(network)
    rows: list[Layer] = []
    for each in names:
        if each in by_name or type(layers[each]).__name__ == "InputLayer":
            call = by_name.get(each)
            rows.append(
                _layer(len(rows), each, layers[each], call, times[each] == 1, preprocess, first)
            )
    return LayerTable(name, tuple(rows))


def _refuse_several_inputs(network: Any, name: str) -> None:
    inputs = getattr(network, "inputs", None) or ()
    if len(inputs) > 1:
        raise UsageError(
            f'The layers of "{name}" were asked for.',
            f"The network takes {len(inputs)} inputs.",
            "A network with one input.",
            "Wrap it:  keras.Model(one_input, network({...}))",
        )


def _record(network: Any, layers: dict[str, Any], preprocess: Preprocess) -> list[_Call]:
    """Run the network once on one item of zeros and note every layer's output."""
    item = np.zeros((1, *preprocess.array_shape), preprocess.dtype)
    first = is_channels_first(network)

    def run(batch: Any) -> Any:
        return call_network(network, network_input(batch, preprocess, first))

    on_torch = keras.backend.backend() == "torch"
    return (_record_torch if on_torch else _record_tensorflow)(run, layers, item)


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

    tf.function(trace, autograph=False).get_concrete_function(tf.TensorSpec(item.shape, item.dtype))
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
    called_once: bool,
    preprocess: Preprocess,
    channels_first: bool,
) -> Layer:
    side, is_image = preprocess.array_shape[0], isinstance(preprocess, PreprocessSpec)
    shape = call.shape if call else tuple(layer.batch_shape)
    layout = _layout(layer, shape, channels_first, is_image)
    height = shape[layout.index("H")] if "H" in layout else None
    return Layer(
        index=index,
        name=name,
        kind=type(layer).__name__,
        shape=(None, *shape[1:]),
        layout=layout,
        stride=stride_of(side, height) if height else None,
        params=layer.count_params() if layer.built else 0,
        macs=call.macs if call else 0,
        tappable=call is not None and called_once and call.is_tensor,
        is_block=bool(getattr(layer, "layers", ())),
    )


def _layout(layer: Any, shape: tuple[int | None, ...], channels_first: bool, is_image: bool) -> str:
    """Return the axes' letters; images are square, so what is higher than wide is no map."""
    given = getattr(layer, "data_format", None)
    first = given == "channels_first" if given else channels_first
    last = {2: "NC", 3: "NTC", 4: "NHWC", 5: "NDHWC"}
    found = ({**last, 4: "NCHW", 5: "NCDHW"} if first else last).get(len(shape), "")
    if is_image and len(shape) == 4 and shape[found.index("H")] != shape[found.index("W")]:
        return ""
    return found
