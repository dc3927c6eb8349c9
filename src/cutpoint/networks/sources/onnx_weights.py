"""Read an ``.onnx`` file that nobody vouches for.

ONNX holds numbers and operators, no code. What can hurt is where it says its numbers lie and how
many there are: both are checked before anything is read or allocated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import WeightsError
from cutpoint.networks.runtimes.onnx import import_onnx
from cutpoint.networks.sources.files import inside

MOST_BYTES = 2**31 - 1
"""A file's, and a model's in memory: the limit of protobuf, in which ONNX is written."""

_SPARSE = "it holds sparse weights: a few bytes can stand for any size, so none are read"
_PACKED = {"INT4": 4, "FLOAT4": 4, "INT2": 2}  # bits of types of which a byte holds several


def read_model(path: Path, what: str) -> tuple[Any, list[Path]]:
    """Return the model in a file with all weights in memory, and the files it came from.

    Parameters
    ----------
    path : Path
    what : str
        The backbone, for messages.

    Raises
    ------
    WeightsError
        If the file is no ONNX model, is damaged, points out of its own folder, declares other
        sizes than it has, or holds NaN.
    """
    onnx = import_onnx()
    model = _parsed(onnx, path, what)
    model.ClearField("training_info")  # never run, so never read
    try:
        tensors = list(_tensors(model))
    except ValueError as error:
        raise unreadable(path, what, str(error)) from error
    external = [tensor for tensor in tensors if tensor.data_location == tensor.EXTERNAL]
    n_bytes = path.stat().st_size + sum(_declared_bytes(onnx, each) for each in external)
    if n_bytes > MOST_BYTES:
        raise unreadable(path, what, f"it holds {n_bytes:,} bytes, of which 2 GiB can be read")
    files = {_read_external(onnx, tensor, path, what) for tensor in external}
    for tensor in tensors:
        _check_tensor(onnx, tensor, path, what)
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # its own error, or protobuf's
        raise unreadable(path, what, str(error)) from error
    if model.functions:  # written out, so that every tensor has a name of its own
        model = onnx.inliner.inline_local_functions(model)
    return model, [path, *files]


def unreadable(path: Path, what: str, why: str) -> WeightsError:
    """Return the error of a file that can't be used."""
    return WeightsError(
        f"{what} can't be used: {' '.join(why.split())[:300]}.",
        f'It is the file "{path}".',
        "A whole, plain ONNX file.",
        f"Export or download it anew; it lies here:  ls -l {path}",
    )


def _parsed(onnx: Any, path: Path, what: str) -> Any:
    if path.stat().st_size > MOST_BYTES:
        raise unreadable(path, what, "it is larger than the 2 GiB a file may be")
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except Exception as error:  # protobuf's own error, which has no public name
        raise unreadable(path, what, f"it is no ONNX file, or cut short ({error})") from error
    if not model.graph.node:
        raise unreadable(path, what, "it is no ONNX file, or cut short: it has no nodes")
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor of a model: weights, constants, those of inner graphs and functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    if graph.sparse_initializer:
        raise ValueError(_SPARSE)
    yield from graph.initializer
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise ValueError(_SPARSE)
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            yield from _graph_tensors(graph)


def _read_external(onnx: Any, tensor: Any, path: Path, what: str) -> Path:
    """Put the numbers that lie in another file into `tensor`; return that file."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    if "\0" in location:
        raise unreadable(path, what, f"{location!r} is no file name")
    file = inside(path.parent, location, what)
    expected = _declared_bytes(onnx, tensor)
    try:
        offset = int(fields.get("offset") or 0)
        length = int(fields.get("length") or expected)
    except ValueError as error:
        raise unreadable(path, what, f'the place of "{tensor.name}" is no number') from error
    size = file.stat().st_size
    if min(offset, expected) < 0 or length != expected or offset + length > size:
        got = f"{length} bytes from {offset} of the {size} in {location}"
        raise unreadable(path, what, f'"{tensor.name}" takes {expected} bytes, not {got}')
    with file.open("rb") as opened:
        opened.seek(offset)
        tensor.raw_data = opened.read(length)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    return file


def _declared_bytes(onnx: Any, tensor: Any) -> int:
    """Return how many bytes the shape and type of `tensor` ask for; -1 if they are none."""
    bits = _bits(onnx, tensor)
    is_known = bits > 0 and all(size >= 0 for size in tensor.dims)
    return math.ceil(math.prod(tensor.dims) * bits / 8) if is_known else -1


def _bits(onnx: Any, tensor: Any) -> int:
    """Return the size of a value; 0 for text and for types that onnx does not know."""
    kinds = onnx.TensorProto.DataType
    if (
        tensor.data_type in (kinds.STRING, kinds.UNDEFINED)
        or tensor.data_type not in kinds.values()
    ):
        return 0
    name = kinds.Name(tensor.data_type)
    packed = (bits for mark, bits in _PACKED.items() if mark in name)
    return next(packed, 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _check_tensor(onnx: Any, tensor: Any, path: Path, what: str) -> None:
    """Refuse a tensor whose declared size is not that of its numbers, and NaN.

    Infinity may stand: masks of attention and limits are made of it.
    """
    if tensor.data_type == onnx.TensorProto.STRING:
        return
    try:
        is_whole = _is_whole(onnx, tensor)
        values = onnx.numpy_helper.to_array(tensor) if is_whole else None
    except Exception as error:  # an unknown type, or a size that NumPy has another view of
        raise unreadable(path, what, f'tensor "{tensor.name}": {error}') from error
    if values is None:
        raise unreadable(
            path, what, f'tensor "{tensor.name}" declares {tuple(tensor.dims)}, its data differs'
        )
    if values.dtype.kind not in "biu" and np.isnan(values).any():
        raise WeightsError(
            f'{what} has a weight, "{tensor.name}", that holds NaN.',
            "No feature computed with it would mean anything.",
            "Numbers.",
            "Export or download the weights anew.",
        )


def _is_whole(onnx: Any, tensor: Any) -> bool:
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data) == _declared_bytes(onnx, tensor)
    n_values, bits = math.prod(tensor.dims), _bits(onnx, tensor)
    is_complex = "COMPLEX" in onnx.TensorProto.DataType.Name(tensor.data_type)
    held = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
    expected = 2 * n_values if is_complex else math.ceil(n_values * min(bits, 8) / 8)
    return bool(held == expected)
