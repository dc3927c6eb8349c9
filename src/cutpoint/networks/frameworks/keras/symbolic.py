"""A layer's output on the network's own input, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

import keras

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Constants, Preprocess
from cutpoint.networks.frameworks.keras.watch import all_layers
from cutpoint.networks.layer_table import Layer


def symbolic(
    network: Any, layer: Layer, preprocess: Preprocess, trainable: bool, constants: Constants = ()
) -> Any:
    """Return the ``keras.KerasTensor`` at `layer`: ``keras.Model(network.input, head(tensor))``.

    Trainable, it is the network's own tensor there. Frozen, it is what a `Frozen` part of the
    network gives. The layers are the network's either way, and trainable as said last.

    Raises
    ------
    UsageError
        If the network is subclassed, or the layer is inside a nested model: there is no such
        tensor in the network's own graph.
    """
    try:
        if "/" in layer.name:
            raise ValueError("a nested layer's tensor belongs to another graph")
        tensor = tensor_of(network, all_layers(network)[layer.name])
    except (AttributeError, ValueError) as error:
        raise UsageError(
            f'No new head can be connected to layer "{layer.name}".',
            "The network has no symbolic graph there: it is subclassed, or the layer is nested.",
            "A functional or sequential network; of a nested model, the model as a layer.",
            f'Its features are there:  backbone.cut("{layer.name}")',
        ) from error
    part = keras.Model(network.input, tensor)
    # TensorFlow passes over what is set to what it is already, however the layers within are set.
    part.trainable = not trainable
    part.trainable = trainable
    return tensor if trainable else Frozen(part)(network.input)


@keras.saving.register_keras_serializable("cutpoint")
class Frozen(keras.layers.Layer):  # type: ignore[misc]  # Keras publishes no types
    """A part of a network that infers, whatever mode the model around it is in.

    Called with ``training=False`` alone, a part would be put into training mode with the model
    (seen in Keras 3.15), and drop out at random what the head is to learn from.
    """

    def __init__(self, part: Any, **how: Any) -> None:
        super().__init__(**how)
        self.part = part

    def call(self, x: Any) -> Any:
        return self.part(x, training=False)

    def get_config(self) -> dict[str, Any]:
        part = keras.saving.serialize_keras_object(self.part)
        return {**super().get_config(), "part": part}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Frozen:
        part = keras.saving.deserialize_keras_object(config.pop("part"))
        return cls(part, **config)


def tensor_of(network: Any, layer: Any) -> Any:
    """Return the layer's output in this network; it may be part of others as well."""
    # Keras offers no public way to the nodes of one network.
    for node in (node for nodes in network._nodes_by_depth.values() for node in nodes):
        if node.operation is layer:
            (tensor,) = node.outputs
            return tensor
    raise ValueError("the layer has no node in this network")
