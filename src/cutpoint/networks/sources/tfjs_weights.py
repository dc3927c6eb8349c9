"""Weights of TF.js models: the manifest in ``model.json`` and its shards → arrays.

The format is that of ``decodeWeights`` in tfjs-core's ``io_utils.ts``: the shards of a group are
one run of bytes, in which the group's tensors lie one after another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import WeightsError
from cutpoint.base.types import Array
from cutpoint.networks.sources.files import inside

# Bytes on disk are little-endian, as tfjs writes and reads them on every machine it runs on.
_STORED = {"float32": "<f4", "int32": "<i4", "bool": "|b1", "complex64": "<c8"}
_QUANTISED = {"uint8": "|u1", "uint16": "<u2", "float16": "<f2"}
_STRING = "string"


@dataclass(frozen=True)
class _Group:
    """Tensors and the shards they lie in."""

    tensors: Sequence[dict[str, Any]]
    shards: tuple[Path, ...]


def read_weights(model_json: Path) -> dict[str, Array]:
    """Return every tensor of a TF.js model, layers-model or graph-model, by name.

    Parameters
    ----------
    model_json : Path
        The file ``model.json``; shards lie beside it or in folders below.

    Returns
    -------
    weights : dict of name → array
        Quantised tensors as float32 (or int32), value × scale + min; ``string`` as bytes objects.

    Raises
    ------
    WeightsError
        If a shard is missing, short or too long, leads out of the folder, or a value is NaN.
    """
    found: dict[str, Array] = {}
    for group in _groups(model_json):
        for name, array in _read_group(group, model_json):
            if name in found:
                raise _refused(model_json, f'Two weights are called "{name}".')
            refuse_nan(name, array, model_json)
            found[name] = array
    return found


def model_files(model_json: Path) -> list[Path]:
    """Return all files of a TF.js model, for its sha256: ``model.json`` and the shards."""
    return [model_json, *(shard for group in _groups(model_json) for shard in group.shards)]


def model_name(model_json: Path) -> str:
    """Return what a model is called in its spec: its folder, whatever lies above it."""
    folder = model_json.resolve().parent.name
    return folder if model_json.name == "model.json" else f"{folder}/{model_json.name}"


def read_model_json(model_json: Path) -> dict[str, Any]:
    """Return what ``model.json`` says."""
    try:
        fields = json.loads(model_json.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _refused(model_json, f"It is no JSON file: {error}.") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("weightsManifest"), list):
        raise _refused(model_json, 'It has no "weightsManifest", which names the weights.')
    return fields


def refuse_nan(name: str, array: Array, model_json: Path) -> None:
    """Raise `WeightsError` if an array holds NaN or infinity.

    A lone infinity is let through: graphs hold one as a mask's filling or a limit.
    """
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return
    if np.isnan(array).any() or array.size > 1:
        raise WeightsError(
            f'The weight "{name}" of TF.js model "{model_json}" holds NaN or infinity.',
            "No feature computed with it would mean anything.",
            "Finite weights.",
            "Convert or download the model anew",
        )


def _groups(model_json: Path) -> list[_Group]:
    try:
        return [
            _Group(group["weights"], tuple(_shard(model_json, path) for path in group["paths"]))
            for group in read_model_json(model_json)["weightsManifest"]
        ]
    except (KeyError, TypeError) as error:
        raise _refused(model_json, f"Its weights manifest is damaged: {error!r}.") from error


def _shard(model_json: Path, path: str) -> Path:
    return inside(model_json.parent, path, f'TF.js model "{model_json}"')


def _read_group(group: _Group, model_json: Path) -> Iterator[tuple[str, Array]]:
    data = memoryview(b"".join(shard.read_bytes() for shard in group.shards))
    offset = 0
    for tensor in group.tensors:
        try:
            name, shape = str(tensor["name"]), tuple(int(size) for size in tensor["shape"])
            length = _n_bytes(tensor, shape, data, offset)
            if offset + length > len(data):
                raise _short(model_json, group, name, offset, length)
            array = _decoded(tensor, shape, data[offset : offset + length])
        except (KeyError, TypeError, AttributeError) as error:
            raise _refused(model_json, f"Weight {tensor} can't be read: {error!r}.") from error
        yield name, array
        offset += length
    if offset != len(data):
        why = f'"{_suspect(group).name}" ends {len(data) - offset} bytes after its last weight.'
        raise _refused(model_json, why)


def _n_bytes(tensor: dict[str, Any], shape: tuple[int, ...], data: memoryview, start: int) -> int:
    if min(shape, default=0) < 0:
        raise TypeError("a size is negative")
    if tensor["dtype"] == _STRING:
        return _n_string_bytes(math.prod(shape), data, start)
    return math.prod(shape) * _stored_type(tensor).itemsize


def _n_string_bytes(n_strings: int, data: memoryview, start: int) -> int:
    """Each string is its length in four bytes, then itself."""
    end = start
    for _ in range(n_strings):
        end += 4 + int.from_bytes(data[end : end + 4], "little")
        if end > len(data):
            break
    return end - start


def _stored_type(tensor: dict[str, Any]) -> np.dtype[Any]:
    """Return the type on disk; raise KeyError for one that tfjs does not know."""
    quantisation = tensor.get("quantization")
    known = _QUANTISED[quantisation["dtype"]] if quantisation else _STORED[tensor["dtype"]]
    return np.dtype(known)


def _decoded(tensor: dict[str, Any], shape: tuple[int, ...], data: memoryview) -> Array:
    if tensor["dtype"] == _STRING:
        return np.array(list(_strings(data)), object).reshape(shape)
    stored = np.frombuffer(data, _stored_type(tensor)).reshape(shape)
    quantisation = tensor.get("quantization")
    if quantisation is None:
        return stored.astype(stored.dtype.newbyteorder("="))
    wanted = np.dtype(tensor["dtype"])
    if quantisation["dtype"] == "float16":
        return stored.astype(wanted)
    # In float64 and then rounded once, as JavaScript does.
    values = stored * np.float64(quantisation["scale"]) + np.float64(quantisation["min"])
    return (np.floor(values + 0.5) if wanted.kind == "i" else values).astype(wanted)


def _strings(data: memoryview) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "little")
        yield bytes(data[start + 4 : start + 4 + length])
        start += 4 + length


def _short(model_json: Path, group: _Group, name: str, offset: int, length: int) -> WeightsError:
    found = sum(shard.stat().st_size for shard in group.shards)
    return _refused(
        model_json,
        f'"{_suspect(group).name}" is short: weight "{name}" is {length} bytes from offset '
        f"{offset}, and the group's {len(group.shards)} files end at {found}.",
    )


def _suspect(group: _Group) -> Path:
    """Return the shard that is likely damaged: all but the last are of one size."""
    sizes = [shard.stat().st_size for shard in group.shards]
    pairs = zip(group.shards, sizes, strict=True)
    return next((shard for shard, size in pairs if size < max(sizes)), group.shards[-1])


def _refused(model_json: Path, why: str) -> WeightsError:
    return WeightsError(
        f'The weights of TF.js model "{model_json}" can\'t be loaded.',
        why,
        "model.json and exactly the bytes its weights manifest names, all in one folder.",
        f"Look there with:  ls -l {model_json.parent}",
    )
