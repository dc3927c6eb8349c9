"""What a Keras network's weights are, byte for byte, and how its layers are set up."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import keras
import numpy as np

from cutpoint.networks.frameworks.keras.watch import all_layers

WHEN_CHANGED = "backbone = cp.load(backbone.network, preprocess=backbone.spec.preprocess)"
# What a layer is called, what it draws in training, and whether it is trained.
_NOT_IN_FEATURES = ("name", "seed", "trainable")


def weights_digests(network: Any) -> dict[str, str]:
    """Return the digest of each weight and statistic, and one of the structure.

    The states of random generators are no weights: training alone draws from them.
    """
    found: dict[str, str] = {}
    for place, weight in enumerate(network.weights):
        values = np.asarray(keras.ops.convert_to_numpy(weight))
        digest = hashlib.sha256(f"{values.dtype}{values.shape}".encode() + values.tobytes())
        name = weight.path if weight.path not in found else f"{weight.path} ({place})"
        found[name] = digest.hexdigest()
    structure = hashlib.sha256(_structure_of(network).encode()).hexdigest()
    return {**found, "how layers are set up": structure}


def _structure_of(network: Any) -> str:
    layers = [
        (name, type(layer).__name__, {} if hasattr(layer, "layers") else _config_of(layer))
        for name, layer in all_layers(network).items()
    ]
    return json.dumps(layers, sort_keys=True, default=str)


def _config_of(layer: Any) -> dict[str, Any]:
    try:
        config = layer.get_config()
    except NotImplementedError:  # a class of the user's that can't tell
        return {}
    return {key: value for key, value in config.items() if key not in _NOT_IN_FEATURES}
