"""``keras:MobileNetV2``, ``keras:model.keras``, ``keras:model.h5``: Keras networks.

An application takes its own arguments behind a question mark, as in
``keras:MobileNet?alpha=0.25&weights=mobilenet_2_5_224_tf_no_top.h5``; `side` is the input size in
pixels. Without `weights`, Keras downloads or finds its ImageNet weights as it always does.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib.util
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.tongue import layers_of
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.files import existing, file_sha256
from cutpoint.networks.sources.keras_files import (
    check_config,
    check_hdf5,
    n_floats,
    read_h5_config,
    read_keras_config,
)
from cutpoint.networks.sources.keras_networks import (
    keras_backbone,
    n_weights,
    structure_of,
    weights_sha256,
)
from cutpoint.networks.sources.keras_operations import refuse_in_archive
from cutpoint.networks.sources.keras_topology import network_from_topology

_SUFFIXES = (".h5", ".hdf5", ".keras")
_IMAGENET_PX = 224
_OF_BARE = ("include_top", "pooling")  # arguments for networks without their classifier


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a network of ``keras.applications``, or the one in a file.

    Raises
    ------
    BackboneNotFound
        If there is no such application or file.
    WeightsError
        If the file is broken, does not fit, or can run code and is not trusted.
    """
    keras = import_keras()
    if name.endswith(_SUFFIXES) and "?" not in name:
        return _from_file(keras, existing(name, "keras", "Files: .keras, .h5"), options)
    return _application(keras, name, options)


def names() -> list[str]:
    """Return the names of Keras' applications, read in its files: an import takes ten seconds."""
    found = importlib.util.find_spec("keras")
    if found is None or found.origin is None:
        return []
    text = (Path(found.origin).parent / "applications" / "__init__.py").read_text()
    return re.findall(r"^from .* import ([A-Z]\w*)", text, flags=re.MULTILINE)


def _applications(keras: Any) -> list[str]:
    return [each for each in dir(keras.applications) if each[0].isupper()]


def _from_file(keras: Any, path: Path, options: LoadOptions) -> Backbone:
    what = f'Backbone "keras:{path}"'
    is_archive = path.suffix == ".keras"
    config, version = read_keras_config(path, what) if is_archive else read_h5_config(path, what)
    if config is None:
        network = _built(options, what)
        _load_weights(network, path, what)
    else:
        check_config(keras, config, what, options.trust_weights)
        if is_archive:
            refuse_in_archive(config, what)
            network = _loaded(keras, path, what, options.trust_weights)
        else:
            is_old = not str(version).startswith("3")
            network = network_from_topology(keras, config, what, is_old)
            _load_weights(network, path, what)
    sha256 = file_sha256(path)
    if config is None:  # the same weights in another network are other features
        sha256 = hashlib.sha256((sha256 + structure_of(network)).encode()).hexdigest()
    load_name = f"keras:{path.resolve()}"
    return keras_backbone(network, "keras", path.name, sha256, options, load_name=load_name)


def _loaded(keras: Any, path: Path, what: str, trusted: bool) -> Any:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as error:  # whatever Keras meets in a file it did not write
        raise WeightsError(
            f"{what} can't be loaded.",
            f"Keras says: {' '.join(str(error).split())[:300]}",
            "A whole model, or weights with the network they belong to.",
            "In Python, give the network:  cp.load(..., build=make_network)",
        ) from error


def _built(options: LoadOptions, what: str) -> Any:
    if options.build is None:
        raise UsageError(
            f"{what} holds weights without the network they belong to.",
            "Keras needs the network to load them into.",
            "An application to load them into, or (in Python) a function that builds the network.",
            'Type, for example:  "keras:MobileNetV2?weights=FILE.h5"   or  build=make_network',
        )
    return options.build()


def _load_weights(network: Any, path: Path, what: str) -> None:
    try:
        network.load_weights(path)
        n_there, n_here = n_floats(path), n_weights(network)
        if n_there != n_here:
            raise ValueError(f"it holds {n_there} numbers, the network {n_here}")
    except Exception as error:  # broken, or of another network
        raise WeightsError(
            f'{what} and the file "{path.name}" don\'t fit.',
            f"Keras says: {' '.join(str(error).split())[:300]}",
            "A file with the weights of every layer and no other.",
            f"Look into it with:  h5dump -n {path}",
        ) from error


def _build_is_idle(name: str) -> UsageError:
    return UsageError(
        f'build has no use for backbone "keras:{name}".',
        "An application is built by Keras itself; the function would never be called.",
        "build with a file of weights alone.",
        "Leave it out, or load the file:  cp.load('FILE.weights.h5', build=make_network)",
    )


def _application(keras: Any, name: str, options: LoadOptions) -> Backbone:
    kind, _, query = name.partition("?")
    typed = _typed(query)
    make = getattr(keras.applications, kind, None)
    if not inspect.isfunction(make):
        raise _unknown(keras, kind)
    arguments = {key: value for key, value in typed.items() if key not in ("weights", "side")}
    if "side" in typed:
        if not isinstance(typed["side"], int):
            raise _bad_arguments(name, make, TypeError(f'side="{typed["side"]}"'))
        arguments["input_shape"] = (typed["side"], typed["side"], 3)
    if options.build is not None:
        raise _build_is_idle(name)
    if "weights" not in typed:
        name = _spelled(kind, typed)
        network, sha256 = _downloaded(make, name, arguments)
        load_name = f"keras:{name}"
    else:
        path = existing(str(typed["weights"]), "keras", "Weights are an .h5 file").resolve()
        check_hdf5(path, path.stat().st_size, f'The weights "{path}"')
        network, sha256 = _filled(make, name, arguments, path), file_sha256(path)
        name = _spelled(kind, {**typed, "weights": path.name})
        load_name = f"keras:{_spelled(kind, {**typed, 'weights': path})}"
    # Without its own scaling, a network's `preprocess_input`, which does nothing, is wrong.
    scales = typed.get("include_preprocessing", True)
    side_px = network.input_shape[1] or _trained_side(make, name, arguments)
    known = _own_preprocess(make, side_px) if scales else None
    return keras_backbone(network, "keras", name, sha256, options, known, load_name, side_px)


def _downloaded(make: Any, name: str, arguments: dict[str, Any]) -> tuple[Any, str]:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress
            network = make(weights="imagenet", **arguments)
    except TypeError as error:
        raise _bad_arguments(name, make, error) from error
    except Exception as error:  # no network, a wrong digest, a size without weights
        raise WeightsError(
            f'The weights of "keras:{name}" can\'t be loaded.',
            f"Keras says: {' '.join(str(error).split())[:300]}",
            "A network to download them, or a file of them.",
            f'From a file, type:  "keras:{name}?weights=FILE.h5"',
        ) from error
    return network, weights_sha256(network)


def _filled(make: Any, name: str, arguments: dict[str, Any], path: Path) -> Any:
    """Build the network with and without its classifier; the one that `path` fits whole it is."""
    what = f'Backbone "keras:{name}"'
    if "include_top" in arguments:
        network = _made(make, name, arguments)
        _load_weights(network, path, what)
        return network
    whole = _made(make, name, arguments)
    try:
        _load_weights(whole, path, what)
    except WeightsError:
        # Without its classifier a network declares no size; it has the one it had with it.
        sized = {"input_shape": whole.input_shape[1:], **arguments, "include_top": False}
        bare = _made(make, name, sized)
        _load_weights(bare, path, what)
        return bare
    return whole


def _made(make: Any, name: str, arguments: dict[str, Any]) -> Any:
    try:
        return make(weights=None, **arguments)
    except (TypeError, ValueError) as error:
        raise _bad_arguments(name, make, error) from error


def _trained_side(make: Any, name: str, arguments: dict[str, Any]) -> int:
    """Return the side of the photos an application was trained on, which its classifier fixes."""
    if any(arguments.get(key) is not None for key in ("input_shape", "input_tensor")):
        return _IMAGENET_PX  # both sides left open on purpose
    whole = {key: value for key, value in arguments.items() if key not in _OF_BARE}
    return _made(make, name, whole).input_shape[1] or _IMAGENET_PX


def _own_preprocess(make: Any, side_px: int) -> PreprocessSpec:
    """Return what the application's own `preprocess_input` does, read off black and pure colours.

    Keras says nothing of resizing; shorter side to 256/224 of the input, then its central square,
    is what ImageNet networks are evaluated with.
    """
    colours = np.zeros((1, 4, 1, 3), np.float32)
    for channel in range(3):
        colours[0, channel + 1, 0, channel] = 255
    module = sys.modules[make.__module__]
    seen = np.asarray(module.preprocess_input(colours.copy(), data_format="channels_last"))[0, :, 0]
    change = seen[1:] - seen[0]  # (colour put in, channel that answers)
    is_bgr = bool(abs(change[2, 0]) > abs(change[0, 0]))
    answers = np.diag(change[::-1] if is_bgr else change).astype(np.float64) / 255
    # Computed in float32 there; three decimals hold every constant Keras uses.
    std = tuple(round(float(value), 3) for value in 1 / answers)
    mean = tuple(round(float(value), 3) + 0.0 for value in -seen[0] / answers)
    return PreprocessSpec(
        resize_px=round(side_px * 256 / 224),
        crop_px=side_px,
        interpolation="bilinear",
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        channels="BGR" if is_bgr else "RGB",
    )


def _typed(query: str) -> dict[str, Any]:
    """Return ``a=1&b=x`` as arguments; in values, ``%26`` is an ampersand."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return {key: _value(unquote(value)) for key, _, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text


def _spelled(kind: str, arguments: dict[str, Any]) -> str:
    pairs = [f"{key}={quote(str(value), safe='/~')}" for key, value in sorted(arguments.items())]
    return f"{kind}?{'&'.join(pairs)}" if pairs else kind


def _bad_arguments(name: str, make: Any, error: Exception) -> UsageError:
    known = [each for each in inspect.signature(make).parameters if each != "weights"]
    return UsageError(
        f'Backbone "keras:{name}" takes other arguments.',
        f"Keras says: {error}.",
        f"Arguments: side, weights, {', '.join(known)}.",
        'Type, for example:  "keras:MobileNetV2?alpha=0.5"',
    )


def _unknown(keras: Any, kind: str) -> BackboneNotFound:
    known = _applications(keras)
    nearest = difflib.get_close_matches(kind, known, n=3, cutoff=0.3) or known[:3]
    return BackboneNotFound(
        f'No backbone "keras:{kind}".',
        "keras.applications has no such network, and there is no such file.",
        f"Nearest: {', '.join(nearest)}.",
        f"Type, for example:  {layers_of(f'keras:{nearest[0]}')}",
    )
