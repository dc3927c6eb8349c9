"""``tfjs:folder/model.json``: TensorFlow.js models, read without the package tensorflowjs.

Layers-models become Keras networks, graph-models TensorFlow graphs. Neither says how its pixels
were scaled, so that has to be stated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.base.types import Array
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.files import existing, files_sha256
from cutpoint.networks.sources.keras_files import check_config
from cutpoint.networks.sources.keras_networks import keras_backbone
from cutpoint.networks.sources.keras_topology import network_from_topology
from cutpoint.networks.sources.tfjs_weights import (
    model_files,
    model_name,
    read_model_json,
    read_weights,
)

# What TF.js and older releases of Keras call weights, where Keras 3 calls them otherwise.
_OTHER_NAMES = {"depthwise_kernel": "kernel"}


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the model in a folder, or in a ``model.json``.

    Raises
    ------
    WeightsError
        If a shard is missing or short, a weight has no layer or a layer no weight, or the
        topology names a layer Keras does not have.
    """
    path = existing(name, "tfjs", "A folder with model.json and its shards")
    model_json = path / "model.json" if path.is_dir() else path
    fields = read_model_json(model_json)
    if fields.get("format") == "graph-model" or "node" in (fields.get("modelTopology") or ()):
        from cutpoint.networks.sources.tfjs_graph import load_graph_model

        return load_graph_model(model_json, options)
    return _load_layers_model(model_json, fields, options)


def _load_layers_model(model_json: Path, fields: dict[str, Any], options: LoadOptions) -> Backbone:
    keras = import_keras()
    what = f'Backbone "tfjs:{model_json}"'
    topology = _topology(fields, what)
    check_config(keras, topology, what, options.trust_weights)
    network = network_from_topology(keras, topology, what, is_old=True)
    _fill(network, read_weights(model_json), what)
    sha256 = files_sha256(model_files(model_json), model_json.parent)
    name, load_name = model_name(model_json), f"tfjs:{model_json.resolve()}"
    return keras_backbone(network, "tfjs", name, sha256, options, load_name=load_name)


def _topology(fields: dict[str, Any], what: str) -> dict[str, Any]:
    """Return ``{"class_name", "config"}``, wherever this writer put it."""
    topology = fields.get("modelTopology")
    found = topology.get("model_config", topology) if isinstance(topology, dict) else None
    if not isinstance(found, dict) or "class_name" not in found or "config" not in found:
        raise WeightsError(
            f"{what} is neither a layers-model nor a graph-model.",
            'Its "modelTopology" says which.',
            "A model.json as TensorFlow.js or its converter writes it.",
            "Look into it with:  python -m json.tool model.json | head",
        )
    return found


def _fill(network: Any, weights: dict[str, Array], what: str) -> None:
    """Put every weight into its layer; each has exactly one place, and every place is filled."""
    places = {name: place for place, names in _places(network) for name in names}
    used: set[int] = set()
    for name, values in weights.items():
        place = places.get(name)
        if place is None:
            raise _mismatch(what, f'the weight "{name}" has no layer', places)
        if tuple(place.shape) != values.shape:
            shapes = f"{values.shape} where the layer takes {tuple(place.shape)}"
            raise _mismatch(what, f'the weight "{name}" is {shapes}', places)
        place.assign(values)
        used.add(id(place))
    empty = [names[0] for place, names in _places(network) if id(place) not in used]
    if empty:
        raise _mismatch(what, f'{len(empty)} weights are not there, first "{empty[0]}"', places)


def _places(network: Any) -> list[tuple[Any, tuple[str, ...]]]:
    """Return each weight's variable with the names a manifest may call it by."""
    found = []
    for weight in network.weights:
        if "seed_generator" in weight.path:
            continue
        *layers, kind = weight.path.split("/")
        old = next((was for was, now in _OTHER_NAMES.items() if now == kind), kind)
        tails = ["/".join(layers[start:]) for start in range(len(layers))]
        # A layer called a/b is called a.b here, as Keras 3 allows no slash.
        tails = list(
            dict.fromkeys(each for tail in tails for each in (tail, tail.replace(".", "/")))
        )
        names = tuple(f"{tail}/{each}" for tail in tails for each in dict.fromkeys((kind, old)))
        found.append((weight, names))
    return found


def _mismatch(what: str, why: str, places: dict[str, Any]) -> WeightsError:
    return WeightsError(
        f"{what} has weights that don't fit its topology: {why}.",
        f"The topology has {len(set(map(id, places.values())))} places for weights.",
        f"A weight for each of {len(set(map(id, places.values())))} places and no other, "
        f"called like {', '.join(list(places)[:2])}.",
        "Convert the model anew; a network filled in part would give plausible nonsense.",
    )
