"""What lies above a cut, as a ``keras.Model`` of its own whose weights may be trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from cutpoint.base.contracts import ACTIVATION, Parameter, Trainer, Tuning
from cutpoint.base.errors import CutNotSeparable, UsageError
from cutpoint.base.spec import BackboneSpec, TapSpec
from cutpoint.base.types import Array, Batch, Features
from cutpoint.networks.frameworks.keras.ops import KERAS
from cutpoint.networks.frameworks.keras.symbolic import tensor_of
from cutpoint.networks.frameworks.keras.training import KerasTrainer
from cutpoint.networks.frameworks.keras.watch import all_layers, call_network, is_channels_first
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool

_QUERY, _VALUE = re.compile(r"(^|[/_.])query"), re.compile(r"(^|[/_.])value")


def parameters(network: Any, table: LayerTable) -> tuple[Parameter, ...]:
    """Return all weights that gradients reach, each with the layer of `table` that holds it."""
    names = {row.name for row in table.rows}
    found: dict[int, Parameter] = {}
    paths = named_weights(network)
    for layer_name, layer in all_layers(network).items():
        owner = layer_name if layer_name in names else table.rows[0].name
        own = {id(each) for each in _gradient_weights(layer)}
        for name, weight in paths.items():
            if id(weight) in own and (id(weight) not in found or not hasattr(layer, "layers")):
                role = _role(layer, name, len(weight.shape))
                found[id(weight)] = Parameter(name, owner, tuple(weight.shape), role)
    return tuple(found.values())


def named_weights(network: Any) -> dict[str, Any]:
    """Return all weights by their paths; of paths that are there twice, with their places."""
    found: dict[str, Any] = {}
    for place, weight in enumerate(network.weights):
        found[weight.path if weight.path not in found else f"{weight.path} ({place})"] = weight
    return found


def _gradient_weights(layer: Any) -> list[Any]:
    """Return a layer's weights but its statistics, whether or not it is frozen just now."""
    fixed = {id(each) for each in _never_trained(layer)}
    return [each for each in layer.weights if id(each) not in fixed]


def _never_trained(layer: Any) -> list[Any]:
    # `layer.trainable = False` moves all to the non-trainable; what is made so, stays so.
    own = [each for each in layer.weights if not getattr(each, "_trainable", True)]
    statistics = ("moving_mean", "moving_variance", "seed_generator_state")
    return own + [each for each in layer.weights if each.path.rpartition("/")[2] in statistics]


def _role(layer: Any, name: str, ndim: int) -> str:
    if "normalization" in type(layer).__name__.lower() and ndim == 1:
        return "norm"
    if ndim < 2:
        return ""
    return "query" if _QUERY.search(name) else "value" if _VALUE.search(name) else ""


def make_suffix(
    network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], cut: str, table: LayerTable
) -> KerasSuffix:
    """Return what lies above layer `cut` of `network`, up to the deepest of `taps`.

    Raises
    ------
    CutNotSeparable
        If more than the output of `cut` is needed above it.
    """
    twin = copied(network, spec.id)
    layers = list(dict.fromkeys(tap.layer for tap in taps))
    outputs = [_tensor(twin, layer, spec.id) for layer in layers]
    start = _tensor(twin, cut, spec.id) if cut else twin.input
    try:
        model = keras.Model(start, outputs)
    except ValueError as error:
        raise _not_separable(cut, error, spec.id) from error
    known, names = parameters(network, table), tuple(named_weights(network))
    return KerasSuffix(network, model, twin, spec, tuple(taps), cut, table, known, names)


def crossing(network: Any, spec: BackboneSpec, table: LayerTable, cuts: Iterable[str]) -> str:
    """Return the first of `cuts` at which the network can be cut in two; empty if there is none."""
    for cut in cuts:
        try:
            keras.Model(_tensor(network, cut, spec.id), network.outputs)
            return cut
        except (ValueError, UsageError):
            continue
    return ""


def with_weights(network: Any, weights: Mapping[str, Array]) -> Any:
    """Return a copy of `network` in which these weights are other."""
    twin = copied(network, "this network")
    named = dict(zip(named_weights(network), twin.weights, strict=True))
    for name, values in weights.items():
        named[name].assign(values)
    return twin


def copied(network: Any, backbone: str) -> Any:
    """Return the same network on weights of its own."""
    try:
        # Not by `clone_model`, which gives input layers other names.
        twin = type(network).from_config(network.get_config())
        twin.set_weights(network.get_weights())
    except Exception as error:  # whatever a class of the user's meets when it is made again
        raise UsageError(
            f"The network of \"{backbone}\" can't be fine-tuned: it can't be copied.",
            f"from_config raised {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            "A functional or sequential network, whose layers say their configuration.",
            "Try it with:  type(network).from_config(network.get_config())",
        ) from error
    return twin


def _tensor(network: Any, layer: str, backbone: str) -> Any:
    try:
        if "/" in layer:
            raise ValueError("it lies within a nested model, whose graph is another")
        return tensor_of(network, all_layers(network)[layer])
    except (AttributeError, KeyError, ValueError) as error:
        raise CutNotSeparable(
            f'The network of "{backbone}" can\'t be cut in two at "{layer}".',
            f"Its graph has no single tensor there: {error}.",
            "A functional or sequential network, and a layer that it calls once.",
            "Look at its layers with:  backbone.layers()",
        ) from error


def _not_separable(cut: str, error: Exception, backbone: str) -> CutNotSeparable:
    return CutNotSeparable(
        f'The network of "{backbone}" can\'t be cut in two at "{cut}": more crosses the cut.',
        f"Keras says: {' '.join(str(error).split())[:300]}",
        "A layer whose output is all that passes on, such as the end of a block.",
        "Look at the blocks' ends with:  backbone.layers().auto_taps()",
    )


def training_device() -> str:
    """Return what is trained on: Keras' backend places tensors itself."""
    return "the device of Keras' backend"


class KerasSuffix:
    """See `contracts.Suffix`.

    Parameters
    ----------
    model : keras.Model
        Activation → activations at the layers of `taps`.
    twin : keras.Model
        The whole network that `model` is a part of, on weights of its own.
    names : sequence of str
        What its weights are called in the network that it is a copy of.
    """

    def __init__(
        self,
        network: Any,
        model: Any,
        twin: Any,
        spec: BackboneSpec,
        taps: tuple[TapSpec, ...],
        cut: str,
        table: LayerTable,
        known: tuple[Parameter, ...],
        names: Sequence[str],
    ) -> None:
        self._network = network
        self.model, self.twin, self.spec, self.table = model, twin, spec, table
        self.taps, self.cut = taps, cut
        self.layers = list(dict.fromkeys(tap.layer for tap in taps))
        own = {id(each) for each in model.weights}
        self.named = {n: w for n, w in zip(names, twin.weights, strict=True) if id(w) in own}
        self.parameters = tuple(each for each in known if each.name in self.named)

    def __call__(self, batch: Batch) -> Features:
        found = self.pooled({name: keras.ops.convert_to_tensor(x) for name, x in batch.items()})
        return {name: keras.ops.convert_to_numpy(each) for name, each in found.items()}

    def pooled(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the pooled taps of a batch of the backend's tensors, in inference mode."""
        if self.cut:
            outputs = self.model(batch[ACTIVATION], training=False)
        else:
            first = is_channels_first(self.twin)
            spec = self.spec
            outputs = call_network(self.model, batch, spec.preprocess, first, spec.constants)
        several = outputs if isinstance(outputs, list | tuple) else [outputs]
        found = dict(zip(self.layers, several, strict=True))
        return {
            tap.name: keras.ops.cast(
                apply_pool(
                    tap.pool,
                    found[tap.layer],
                    self.table[tap.layer].layout,
                    KERAS,
                    None,
                    tap.revision,
                ),
                "float32",
            )
            for tap in self.taps
        }

    def trainer(self, tuning: Tuning) -> Trainer:
        again = make_suffix(self._network, self.spec, self.taps, self.cut, self.table)
        return KerasTrainer(again, tuning)
