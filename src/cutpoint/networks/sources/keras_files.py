"""Files Keras writes: what they may hold before Keras is allowed to read them.

Keras' own ``safe_mode`` has been passed by several times (advisories 2025-1550, 2025-8747,
2025-9905, 2025-12058, 2026-1669 and others), so a file is looked through here first: configuration
may name Keras' own layers only, HDF5 may not point to other files or declare more than it holds.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.networks.sources.files import require_trust
from cutpoint.networks.sources.keras_operations import KINDS, OLDER, refuse_unknown_operation

_PUBLIC = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "quantizers",
    "regularizers",
)
_MODULES = re.compile(rf"keras(\.src)?(\.({'|'.join(_PUBLIC)})(\.\w+)*)?")
_CODE = {
    "Lambda": "a Lambda layer holds Python code",
    "__lambda__": "it holds Python code",
    "TFSMLayer": "a TFSMLayer loads a SavedModel",
    "JaxLayer": "a JaxLayer holds a function",
    "FlaxLayer": "a FlaxLayer holds a function",
    "TorchModuleWrapper": "a TorchModuleWrapper holds a pickled module",
}
_MARKERS = {
    "__tuple__",
    "__tensor__",
    "__keras_tensor__",
    "__numpy__",
    "__complex__",
    "__ellipsis__",
    "Model",
}
_FILE_KEYS = ("vocabulary", "idf_weights")  # a string there is the path of a file Keras reads
_MAX_RATIO, _SLACK_BYTES = 100, 1 << 20  # weights hardly compress; more is a bomb


def check_config(keras: Any, config: Any, what: str, trusted: bool) -> None:
    """Raise `WeightsError` if a configuration can run code and is not trusted, or is malformed."""
    for node in _dicts(config):
        name = node.get("name")
        if isinstance(name, str) and (".." in name or "\\" in name or name.startswith("/")):
            raise _malformed(what, f'a layer is called "{name}", which is a path')
        for key in _FILE_KEYS:
            if isinstance(node.get(key), str):
                require_trust(trusted, what, f'a layer reads the file "{node[key]}"')
        kind = node.get("class_name")
        if kind in (*KINDS, OLDER):
            refuse_unknown_operation(node, what)
        elif isinstance(kind, str):
            why = _foreign(keras, node)
            if why:
                require_trust(trusted, what, why)


def read_keras_config(path: Path, what: str) -> tuple[Any, str]:
    """Return configuration and version of a ``.keras`` archive whose members are safe to unpack."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size, what)
            weights = archive.read("model.weights.h5")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise _malformed(what, f"it is no whole .keras archive ({error})") from error
    check_hdf5(io.BytesIO(weights), len(weights), what)
    return config, "3"  # the format came with Keras 3


def read_h5_config(path: Path, what: str) -> tuple[Any | None, str]:
    """Return configuration and version of an ``.h5`` file; None if it holds weights only."""
    import h5py

    check_hdf5(path, path.stat().st_size, what)
    with h5py.File(path, "r") as file:
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
    try:
        found = None if config is None else json.loads(config)
    except (ValueError, TypeError) as error:
        raise _malformed(what, f"its configuration is no JSON ({error})") from error
    if config is not None and not (
        isinstance(found, dict) and {"class_name", "config"} <= set(found)
    ):
        raise _malformed(what, "its configuration describes no model")
    return found, version.decode() if isinstance(version, bytes) else str(version)


def n_floats(path: Path) -> int:
    """Return how many numbers the weights in an HDF5 file are, what trained them left out."""
    import h5py

    total = 0
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        for name, _, item in _members(h5py, root):
            is_weight = isinstance(item, h5py.Dataset) and item.dtype.kind == "f"
            total += int(item.size) if is_weight and "/optimizer" not in name else 0
    return total


def check_hdf5(file: Path | io.BytesIO, n_bytes: int, what: str) -> None:
    """Raise `WeightsError` for links, outside storage, or more declared than there can be."""
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            for name, link, item in _members(h5py, opened):
                if not isinstance(link, h5py.HardLink):
                    raise _malformed(what, f'"{name}" is a link')
                if isinstance(item, h5py.Dataset):
                    _check_dataset(name, item, n_bytes, what)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise _malformed(what, f"it is no whole HDF5 file ({error})") from error


def _members(h5py: Any, group: Any) -> Iterator[tuple[str, Any, Any]]:
    for name in group:
        link = group.get(name, getlink=True)
        item = group[name] if isinstance(link, h5py.HardLink) else None
        yield f"{group.name.rstrip('/')}/{name}", link, item
        if isinstance(item, h5py.Group):
            yield from _members(h5py, item)


def _check_dataset(name: str, dataset: Any, n_bytes: int, what: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise _malformed(what, f'"{name}" is stored in another file')
    if dataset.nbytes > _MAX_RATIO * n_bytes + _SLACK_BYTES:
        raise _malformed(what, f'"{name}" declares {dataset.nbytes} bytes in a file of {n_bytes}')
    if dataset.nbytes > _MAX_RATIO * dataset.id.get_storage_size() + _SLACK_BYTES:
        raise _malformed(what, f'"{name}" declares {dataset.nbytes} bytes and stores fewer')


def _check_members(archive: zipfile.ZipFile, n_bytes: int, what: str) -> None:
    for member in archive.infolist():
        name = member.filename
        if ".." in name or "\\" in name or name.startswith("/"):
            raise _malformed(what, f'its member "{name}" leads out of the archive')
        if member.file_size > _MAX_RATIO * n_bytes + _SLACK_BYTES:
            raise _malformed(what, f'its member "{name}" declares {member.file_size} bytes')


def _foreign(keras: Any, node: dict[str, Any]) -> str:
    """Return why a serialised object can run code; empty if it is Keras' own."""
    kind, module = node["class_name"], node.get("module")
    registered = node.get("registered_name") or ""
    if kind in _CODE:
        return _CODE[kind]
    if kind == "function":
        name = node.get("config")
        known = isinstance(name, str) and hasattr(keras.activations, name)
        return "" if known else f"it names the function {name}"
    if ">" in registered and not registered.startswith("keras>"):
        return f"{registered} is not Keras' own"
    if module is not None and module != "builtins":
        return "" if _MODULES.fullmatch(str(module)) else f"{module}.{kind} is not Keras' own"
    is_ours = kind in _MARKERS or any(hasattr(getattr(keras, name), kind) for name in _PUBLIC)
    return "" if is_ours or kind in ("Functional", "Sequential") else f"{kind} is not Keras' own"


def _dicts(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _malformed(what: str, why: str) -> WeightsError:
    return WeightsError(
        f"{what} is refused: {why}.",
        "Nothing of it was loaded.",
        "A file as Keras writes it, whole and by itself.",
        "Save it anew with:  model.save(...)",
    )
