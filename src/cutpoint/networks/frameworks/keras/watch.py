"""See what layers put out while a network runs, and stop it early."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cutpoint.base.spec import Preprocess, PreprocessSpec

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


def network_input(batch: Any, preprocess: Preprocess, channels_first: bool) -> Any:
    """Return a prepared batch as the network takes it."""
    from keras import ops

    if not isinstance(preprocess, PreprocessSpec):
        return batch
    images = ops.cast(batch, "float32")
    if preprocess.channels == "BGR":
        images = ops.flip(images, axis=3)
    mean, std = (
        ops.convert_to_tensor(list(each), "float32") for each in (preprocess.mean, preprocess.std)
    )
    images = (images - mean) / std
    return ops.transpose(images, (0, 3, 1, 2)) if channels_first else images


def call_network(network: Any, inputs: Any) -> Any:
    """Run `network` in inference mode, its one input wrapped as the network declares it."""
    wanted = getattr(network, "input", None)
    if isinstance(wanted, dict):
        inputs = dict.fromkeys(wanted, inputs)
    elif isinstance(wanted, (list, tuple)):
        inputs = [inputs]
    return network(inputs, training=False)
