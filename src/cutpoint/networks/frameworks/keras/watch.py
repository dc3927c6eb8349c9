"""See what layers put out while a network runs, and stop it early."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cutpoint.base.contracts import InGraph
from cutpoint.base.spec import Constants, Preprocess
from cutpoint.items.kinds import in_graph
from cutpoint.networks.constants import constant_array
from cutpoint.networks.frameworks.inputs import fed_by

OnOutput = Callable[[str, Any], None]


# Layers may be shared by networks and cuts; while they are watched, nobody else may watch them.
_WATCHING = threading.RLock()


class DeepestTapReached(BaseException):
    """Ends the pass. No `Exception`: Keras would catch it to add remarks."""


def all_layers(network: Any) -> dict[str, Any]:
    """Return name → layer, in Keras' own order.

    Layers of a nested model come before it, as ``model/layer``; its own input layers are left out.
    """
    found: dict[str, Any] = {}
    for layer in network.layers:
        inner = all_layers(layer) if hasattr(layer, "layers") else {}
        for name, each in inner.items():
            if type(each).__name__ != "InputLayer":
                found[f"{layer.name}/{name}"] = each
        found[layer.name] = layer
    return found


@contextlib.contextmanager
def watched(layers: Mapping[str, Any], on_output: OnOutput) -> Iterator[None]:
    """Call `on_output` with name and output whenever one of `layers` has run.

    The layers' `call` is wrapped on the instance and freed again; the class stays as it is.
    """
    names: dict[int, str] = {}
    for name, layer in layers.items():  # one layer under two names keeps the first
        names.setdefault(id(layer), name)
    wrapped = {name: layer for name, layer in layers.items() if names[id(layer)] == name}
    with _WATCHING:
        for name, layer in wrapped.items():
            object.__setattr__(layer, "call", _telling(layer.call, name, on_output))
        try:
            yield
        finally:
            for layer in wrapped.values():
                object.__delattr__(layer, "call")


def _telling(call: Callable[..., Any], name: str, on_output: OnOutput) -> Callable[..., Any]:
    def tell(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        on_output(name, output)
        return output

    return tell


def is_channels_first(network: Any) -> bool:
    """Say whether the network takes NCHW images."""
    formats = [getattr(layer, "data_format", None) for layer in all_layers(network).values()]
    return next((each == "channels_first" for each in formats if each), False)


def input_names(network: Any) -> list[str]:
    """Return what the network calls its inputs: the keys of a dict, else their own names.

    A subclassed network has none; it is given what the preprocessing names.
    """
    wanted = _declared(network)
    if isinstance(wanted, Mapping):
        return [str(name) for name in wanted]
    return [str(each.name) for each in getattr(network, "inputs", None) or ()]


def _declared(network: Any) -> Any:
    return getattr(network, "input", None) if getattr(network, "inputs", None) else None


def call_network(
    network: Any,
    batch: Mapping[str, Any],
    preprocess: Preprocess,
    channels_first: bool,
    constants: Constants = (),
    what: str = "it",
) -> Any:
    """Run `network` on a prepared batch in inference mode, fed as it declares its inputs."""
    ways = in_graph(preprocess)
    own = [name for name in input_names(network) if name not in dict(constants)]
    fed = fed_by(preprocess.inputs, own or _names_of(preprocess), what)
    given = {n: _network_input(batch[each], ways[each], channels_first) for n, each in fed.items()}
    given |= _constants(network, constants, next(iter(given.values())))
    wanted = _declared(network)
    if isinstance(wanted, Mapping):
        return network({name: given[name] for name in wanted}, training=False)
    if isinstance(wanted, list | tuple):
        return network([given[str(each.name)] for each in network.inputs], training=False)
    inputs = given if len(given) > 1 else next(iter(given.values()))
    return network(inputs, training=False)


def _names_of(preprocess: Preprocess) -> list[str]:
    return list(preprocess.inputs)


def _constants(network: Any, constants: Constants, batch: Any) -> dict[str, Any]:
    """Return the constants, each as long as the batch where the network wants a row an item."""
    from keras import ops

    declared = dict(zip(input_names(network), getattr(network, "inputs", None) or (), strict=True))
    found = {}
    for name, value in constants:
        shape, dtype = declared[name].shape, str(declared[name].dtype)
        rows = ops.convert_to_tensor(constant_array(name, value, (1, *shape[1:]), dtype))
        sizes = (ops.shape(batch)[0], *rows.shape[1:])
        found[name] = ops.broadcast_to(rows, sizes)
    return found


def _network_input(batch: Any, way: InGraph, channels_first: bool) -> Any:
    """Return one input of a prepared batch as the network takes it."""
    from keras import ops

    if not way:
        return batch
    images = ops.cast(batch, "float32")
    if way.order:
        images = ops.take(images, list(way.order), axis=3)
    mean, std = (ops.convert_to_tensor(list(each), "float32") for each in (way.mean, way.std))
    images = (images - mean) / std
    return ops.transpose(images, (0, 3, 1, 2)) if channels_first else images
