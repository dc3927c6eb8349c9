"""TensorFlow, for Keras networks and for graphs: import, cost, conversion."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cutpoint.base.contracts import InGraph
from cutpoint.base.errors import MissingExtra
from cutpoint.networks.runtimes.openvino import import_openvino


def import_tensorflow() -> Any:
    """Return the package ``tensorflow``, imported without its remarks on standard error.

    Where triton is installed (PyTorch for CUDA brings it) it is imported first: the other way
    round the process aborts, as both bring an LLVM.
    """
    try:
        with _quiet_stderr():
            if importlib.util.find_spec("triton") is not None:
                importlib.import_module("triton._C.libtriton")
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            import tensorflow
    except ImportError as error:
        raise MissingExtra("TensorFlow", "tensorflow") from error
    return tensorflow


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send the process' standard error nowhere; C++ libraries write to it directly."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def network_input(tf: Any, batch: Any, way: InGraph) -> Any:
    """Return one input of a prepared batch as the network takes it: images float, normalised."""
    if not way:
        return batch
    images = tf.cast(batch, tf.float32)
    if way.order:
        images = tf.gather(images, way.order, axis=3)
    return (images - tf.constant(way.mean)) / tf.constant(way.std)


def operation_macs(operation: Any) -> int:
    """Return the multiply-accumulates of one graph operation for the batch it was traced with.

    Convolutions and matrix products; all else is free, as in torch's own counter.
    """
    kind = operation.type
    if kind in ("Conv2D", "DepthwiseConv2dNative", "Conv3D", "_FusedConv2D"):
        weights = operation.inputs[1].shape
        out = operation.outputs[0].shape
        # Depthwise weights are (h, w, in, multiplier): each output sums over h·w alone.
        per_output = weights[:-2] if kind == "DepthwiseConv2dNative" else weights[:-1]
        return int(math.prod(per_output)) * _size(out)
    if kind == "Conv2DBackpropInput":  # a transposed convolution: each input meets all weights
        return int(math.prod(operation.inputs[1].shape[:-1])) * _size(operation.inputs[2].shape)
    if kind in ("MatMul", "BatchMatMul", "BatchMatMulV2", "_FusedMatMul"):
        is_flipped = any(
            operation.get_attr(name)
            for name in ("transpose_a", "adj_x")
            if name in operation.node_def.attr
        )
        inner = operation.inputs[0].shape[-2 if is_flipped else -1]
        return int(inner or 1) * _size(operation.outputs[0].shape)
    if kind == "Einsum":
        return _einsum_macs(operation)
    return 0


def _einsum_macs(operation: Any) -> int:
    left = operation.get_attr("equation").decode().split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for letters, tensor in zip(left, operation.inputs, strict=True):
        sizes |= dict(zip(letters, (int(size or 1) for size in tensor.shape), strict=True))
    return math.prod(sizes.values())


def _size(shape: Any) -> int:
    return math.prod(int(size or 1) for size in shape)


def frozen(concrete: Any) -> Any:
    """Return a concrete function with its variables as constants and what is unused removed."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(concrete)


def to_openvino(concrete: Any, n_outputs: int) -> Any:
    """Return a frozen function, whose outputs are called ``tap_0``, …, as ``openvino.Model``.

    Its inputs are in the order of the function's own.
    """
    openvino = import_openvino()
    from openvino.frontend import FrontEndManager

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.pb"
        path.write_bytes(concrete.graph.as_graph_def().SerializeToString())
        front_end = FrontEndManager().load_by_framework("tf")
        model = front_end.convert(front_end.load(str(path)))
    # Two taps may be one tensor (a dropout and its input). Each needs a result of its own:
    # given one result twice, OpenVINO 2026.4 ends the process.
    ends = [model.output(f"tap_{place}:0").get_node() for place in range(n_outputs)]
    results = [openvino.opset13.result(end.input_value(0)) for end in ends]
    order = [each.name for each in concrete.inputs]
    parameters = sorted(model.get_parameters(), key=lambda each: _place(each, order))
    return openvino.Model(results, parameters, "cut")


def _place(parameter: Any, order: Sequence[str]) -> int:
    names = parameter.output(0).get_names()
    return next((place for place, name in enumerate(order) if name in names), 0)


def constants_sha256(concrete: Any) -> str:
    """Return the digest of all constants of a frozen function."""
    digest = hashlib.sha256()
    for node in sorted(concrete.graph.as_graph_def().node, key=lambda node: node.name):
        if node.op == "Const":
            digest.update(node.name.encode() + node.attr["value"].SerializeToString())
    return digest.hexdigest()
