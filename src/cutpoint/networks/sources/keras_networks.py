"""What the sources of Keras networks share."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cutpoint.base.errors import MissingExtra, UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec, Preprocess
from cutpoint.base.tongue import option
from cutpoint.base.types import InputSpec
from cutpoint.items.kinds import in_graph, stated_inputs, stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.constants import data_inputs, with_masks
from cutpoint.networks.runtimes.keras import import_keras

if TYPE_CHECKING:
    from cutpoint.networks.frameworks import Framework


def keras_framework() -> Framework:
    """Return the framework folder, or name the extra that is missing."""
    import_keras()
    try:
        from cutpoint.networks.frameworks import keras
    except ImportError as error:
        raise MissingExtra("The framework Keras", "keras") from error
    return keras


def keras_backbone(
    network: Any,
    source: str,
    name: str,
    sha256: str,
    options: LoadOptions,
    known: Preprocess | None = None,
    load_name: str = "",
    side_px: int | None = None,
) -> Backbone:
    """Return a backbone around a loaded Keras network, its weights and preprocessing checked.

    Parameters
    ----------
    known : PreprocessSpec, optional
        What the weights were fed in training, where the source knows.
    side_px : int, optional
        Side of the squares they were trained on, where the source knows it and the network leaves
        it open.
    """
    what = load_name or f"{source}:{name}"
    _refuse_unbuilt(network, what)
    refuse_nan(network, what)
    given = options.preprocess if options.preprocess is not None else known
    constants = options.constants
    declared = data_inputs(declared_inputs(network), constants, what)
    if len(declared) > 1:
        preprocess = stated_inputs(given, what, declared, only_lists=options.only_lists)
    else:
        (one,) = declared.values()
        shape = one.shape if constants else declared_input(network)
        # What could be loaded before such networks could is float32, and keeps its id.
        dtype = one.dtype if constants or None in (shape or ()) else "float32"
        preprocess = stated_preprocess(
            given, what, shape, side_px=side_px, only_lists=options.only_lists, dtype=dtype
        )
    refuse_double_scaling(network, preprocess, what)
    spec = BackboneSpec(source, name, preprocess.kind, sha256, preprocess, constants)
    # A function of the user's may have kept what it returned.
    is_shared = source == "object" or options.build is not None
    return Backbone(spec, lambda: network, keras_framework, load_name, is_shared)


def _refuse_unbuilt(network: Any, what: str) -> None:
    if not network.built or not network.layers:
        raise UsageError(
            f'Backbone "{what}" is not built yet: it has no weights.',
            "Keras makes them when a network first sees its input.",
            "A network that has seen its input once, with its weights loaded.",
            "Type, for example:  network(np.zeros((1, 224, 224, 3)))",
        )


def declared_inputs(network: Any) -> dict[str, InputSpec]:
    """Return what a network of a graph takes, by name; one without a name of any other."""
    from cutpoint.networks.frameworks.keras.watch import input_names

    tensors = getattr(network, "inputs", None) or ()
    if not tensors:
        return {"inputs": InputSpec(())}
    return with_masks(
        {
            name: InputSpec(
                tuple(None if size is None else int(size) for size in each.shape[1:]),
                "int64" if str(each.dtype).startswith(("int", "uint", "bool")) else "float32",
            )
            for name, each in zip(input_names(network), tensors, strict=True)
        }
    )


def declared_input(network: Any) -> tuple[int | None, ...] | None:
    """Return the shape of one item, channels last, None for sizes left open; None if untold."""
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple) or any(isinstance(size, tuple) for size in shape):
        return None
    from cutpoint.networks.frameworks.keras.watch import is_channels_first

    sizes = tuple(None if size is None else int(size) for size in shape[1:])
    is_image = len(sizes) == 3 and sizes[0] == 3 and sizes[1] == sizes[2]
    return (*sizes[1:], 3) if is_image and is_channels_first(network) else sizes


def refuse_double_scaling(network: Any, preprocess: Preprocess, what: str) -> None:
    """Raise `UsageError` if the network rescales pixels by itself and would get scaled ones."""
    own = [
        name
        for name, layer in _all_layers(network)
        if type(layer).__name__ in ("Rescaling", "Normalization")
    ]
    is_plain = all(way.is_plain for way in in_graph(preprocess).values())
    if own and not is_plain:
        raise UsageError(
            f'The pixels of backbone "{what}" would be scaled twice.',
            f'The network scales them by itself, in layer "{own[0]}".',
            "Pixels as they are, 0–255.",
            f"Type:  {option('preprocess', 'none')}",
        )


def structure_of(network: Any) -> str:
    """Return what the layers are and do, without the names Keras made up for them."""
    layers = []
    for _, layer in _all_layers(network):
        if not hasattr(layer, "layers"):
            config = {k: v for k, v in layer.get_config().items() if k not in ("name", "seed")}
            layers.append([type(layer).__name__, config])
    return json.dumps(layers, sort_keys=True, default=str)


def n_weights(network: Any) -> int:
    """Return how many numbers the weights and statistics of a network are."""
    return sum(
        int(np.prod(w.shape))
        for w in network.weights
        if str(w.dtype).startswith(("float", "bfloat"))
    )


def _all_layers(network: Any) -> list[tuple[str, Any]]:
    found = []
    for layer in network.layers:
        found.append((layer.name, layer))
        found += _all_layers(layer) if hasattr(layer, "layers") else []
    return found


def weights_sha256(network: Any) -> str:
    """Return the digest of structure, weights and statistics, in the network's own order."""
    digest = hashlib.sha256(structure_of(network).encode())
    for weight in network.weights:
        values = np.asarray(_to_numpy(weight))
        digest.update(f"{values.dtype}{values.shape}".encode() + values.tobytes())
    return digest.hexdigest()


def refuse_nan(network: Any, what: str) -> None:
    """Raise `WeightsError` if any weight is NaN or infinite."""
    for weight in network.weights:
        values = np.asarray(_to_numpy(weight))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise WeightsError(
                f'The weight "{weight.path}" of backbone "{what}" holds NaN or infinity.',
                "No feature computed with it would mean anything.",
                "Finite weights.",
                "Load the weights anew and look at:  np.isfinite(weight).all()",
            )


def _to_numpy(weight: Any) -> Any:
    return import_keras().ops.convert_to_numpy(weight)
