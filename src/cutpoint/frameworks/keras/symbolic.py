"""A layer's output in the network's own graph, for a new head to be connected to."""

from __future__ import annotations

from typing import Any

from cutpoint.errors import UsageError
from cutpoint.frameworks.keras.watch import all_layers
from cutpoint.layer_table import Layer
from cutpoint.spec import Preprocess


def symbolic(network: Any, layer: Layer, preprocess: Preprocess) -> Any:
    """Return the ``keras.KerasTensor`` at `layer`: ``keras.Model(network.input, head(tensor))``.

    Raises
    ------
    UsageError
        If the network is subclassed, or the layer is inside a nested model: there is no such
        tensor in the network's own graph.
    """
    try:
        if "/" in layer.name:
            raise ValueError("a nested layer's tensor belongs to another graph")
        return _tensor_of(network, all_layers(network)[layer.name])
    except (AttributeError, ValueError) as error:
        raise UsageError(
            f'Something to connect a head to at layer "{layer.name}" was asked for.',
            "The network has no symbolic graph there: it is subclassed, or the layer is nested.",
            "A functional or sequential network; of a nested model, the model as a layer.",
            f'Its features are there:  backbone.cut("{layer.name}")',
        ) from error


def _tensor_of(network: Any, layer: Any) -> Any:
    """Return the layer's output in this network; it may be part of others as well."""
    # Keras offers no public way to the nodes of one network.
    for node in (node for nodes in network._nodes_by_depth.values() for node in nodes):
        if node.operation is layer:
            (tensor,) = node.outputs
            return tensor
    raise ValueError("the layer has no node in this network")
