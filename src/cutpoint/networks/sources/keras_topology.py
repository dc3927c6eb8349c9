"""Topologies as Keras 1, 2 and 3 and TF.js write them → a Keras 3 network without its weights."""

from __future__ import annotations

from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.networks.sources.keras_operations import KINDS, built_operation, operation_class

_MODELS = ("Model", "Functional", "Sequential")
# Written by older releases, unknown to Keras 3, without effect on a pass.
_OBSOLETE = {"batch_input_shape", "ragged", "sparse", "time_major", "implementation", "input_dtype"}
# Depthwise layers used to list the keys of the convolution they derive from.
_OF_CONVOLUTIONS = {"filters", "groups"}
_NEUTRAL = (None, False)
_KEPT_ON_INPUT = {"batch_shape", "dtype", "name"}


def network_from_topology(keras: Any, topology: dict[str, Any], what: str, is_old: bool) -> Any:
    """Return the network that `topology` describes, its weights drawn at random.

    Parameters
    ----------
    topology : dict
        ``{"class_name": "Functional", "config": {...}}``; checked by `check_config` before.
    what : str
        The backbone, for messages.
    is_old : bool
        Whether Keras 1 or 2 or TF.js wrote it, where some names meant other functions.

    Raises
    ------
    WeightsError
        If Keras 3 has no such layer, or the graph does not close.
    """
    try:
        modern = _without_slashes(_modern_layer(topology, what))
        kind = keras.Sequential if modern["class_name"] == "Sequential" else keras.Model
        with keras.saving.custom_object_scope({KINDS[0]: operation_class(keras)}):
            network = kind.from_config(modern["config"])
    except WeightsError:
        raise
    except Exception as error:  # whatever Keras meets in a topology it did not write
        raise WeightsError(
            f"{what} has a topology that can't be built.",
            f"Keras says: {' '.join(str(error).split())[:300]}",
            "Layers that Keras 3 has, connected as it connects them.",
            "Look at the topology; its layers are listed in the file",
        ) from error
    if is_old:
        _use_old_hard_sigmoid(keras, network)
    return network


def _use_old_hard_sigmoid(keras: Any, network: Any) -> None:
    """Replace ``hard_sigmoid`` by what it was before Keras 3, and is in TF.js."""

    def hard_sigmoid(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)  # Keras 3: relu6(x + 3) / 6

    for layer in network._flatten_layers(include_self=False):
        for name in ("activation", "recurrent_activation"):
            if getattr(layer, name, None) is keras.activations.hard_sigmoid:
                setattr(layer, name, hard_sigmoid)


def _without_slashes(topology: dict[str, Any]) -> dict[str, Any]:
    """Return the topology with ``layer1/conv`` called ``layer1.conv``: Keras 3 allows no slash."""
    names: dict[str, str] = {}

    def collect(layer: dict[str, Any]) -> None:
        if layer["class_name"] in _MODELS:
            for each in layer["config"]["layers"]:
                collect(each)
        for name in (layer.get("name"), layer["config"].get("name")):
            if isinstance(name, str) and "/" in name:
                names[name] = name.replace("/", ".")

    def renamed(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: renamed(value) for key, value in node.items()}
        if isinstance(node, list):
            return [renamed(value) for value in node]
        return names.get(node, node) if isinstance(node, str) else node

    collect(topology)
    found: dict[str, Any] = renamed(topology) if names else topology
    return found


def _modern_layer(layer: dict[str, Any], what: str) -> dict[str, Any]:
    """Return one serialised layer as Keras 3 reads it."""
    kind = layer["class_name"]
    if kind in KINDS:
        return built_operation(layer, what)
    if kind in _MODELS:
        config = layer["config"]
        if isinstance(config, list):  # Sequential, before Keras 2.2.3
            config = {"name": "sequential", "layers": config}
        layers = [_modern_layer(each, what) for each in config["layers"]]
        if kind == "Sequential":
            layers = _with_input(layers, config["layers"])
        ends = {
            key: _single(config[key]) for key in ("input_layers", "output_layers") if key in config
        }
        return {**layer, "class_name": kind, "config": {**config, "layers": layers, **ends}}
    config = _modern_config(kind, dict(layer["config"]), what)
    return {**layer, "config": config}


def _single(ends: list[Any]) -> list[Any]:
    """Return ``[["name", 0, 0]]`` as ``["name", 0, 0]``: one tensor, no list of one."""
    return ends[0] if len(ends) == 1 and isinstance(ends[0], list) else ends


def _modern_config(kind: str, config: dict[str, Any], what: str) -> dict[str, Any]:
    for key in ("ragged", "sparse", "time_major"):
        if config.get(key) not in _NEUTRAL:
            raise WeightsError(
                f'The layer "{config.get("name")}" can\'t be built: Keras 3 has no "{key}".',
                f'It says "{key}": {config[key]}.',
                f'Layers without "{key}"; left out, it would change the numbers.',
                "Export the network anew, without it",
            )
    if kind == "InputLayer":
        config["batch_shape"] = config.get("batch_shape") or config.get("batch_input_shape")
        return {key: value for key, value in config.items() if key in _KEPT_ON_INPUT}
    drop = set(_OBSOLETE)
    if kind == "DepthwiseConv2D":
        drop |= _OF_CONVOLUTIONS
    # Weights are loaded, never trained here: how they would be drawn or held down is of no use,
    # and old releases spell it in ways that Keras 3 does not read.
    kept = {
        key: value
        for key, value in config.items()
        if key not in drop and not key.endswith(("_initializer", "_regularizer", "_constraint"))
    }
    if kind == "BatchNormalization" and isinstance(kept.get("axis"), list):
        (kept["axis"],) = kept["axis"]
    if isinstance(kept.get("dtype"), dict):
        kept["dtype"] = kept["dtype"].get("config", {}).get("name", "float32")
    if isinstance(kept.get("layer"), dict):  # TimeDistributed, Bidirectional
        kept["layer"] = _modern_layer(kept["layer"], what)
    return kept


def _with_input(layers: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a sequence that starts with its input, which old files note on the first layer."""
    if layers and layers[0]["class_name"] == "InputLayer":
        return layers
    shape = given[0]["config"].get("batch_input_shape") if given else None
    if shape is None:
        return layers
    return [{"class_name": "InputLayer", "config": {"batch_shape": shape}}, *layers]
