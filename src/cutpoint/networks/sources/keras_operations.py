"""TensorFlow's functions that Keras 2 kept as layers: ``TFOpLambda``, ``SlicingOpLambda``.

Where a function was called on a layer's output, Keras 2 wrote its name (``"math.divide"``) and its
arguments, no code. Keras 3 has no such layer. Those of `OPERATIONS` are built anew from Keras' own
operations; no name is ever looked up anywhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from cutpoint.base.errors import WeightsError
from cutpoint.base.tongue import layers_of

KINDS = ("TFOpLambda", "SlicingOpLambda")
OLDER = "TensorFlowOpLayer"  # how TensorFlow 2.0 to 2.3 wrote them: a node of a graph
_CONSTANT = "_CONSTANT_VALUE"
_TENSOR = "tensor"  # in arguments, stands before the place of an input
# Switches that Keras 2 writes although they are off; on, they would change the numbers.
_OFF = ("a_is_sparse", "adjoint_a", "adjoint_b", "b_is_sparse", "conjugate", "grad_a", "grad_b")
_SLICE = {"start", "stop", "step"}


def refuse_unknown_operation(layer: Mapping[str, Any], what: str) -> None:
    """Raise `WeightsError` if a layer calls a function that is not built here."""
    config = layer.get("config")
    function = config.get("function") if isinstance(config, Mapping) else None
    if layer["class_name"] not in KINDS or function not in OPERATIONS:
        raise _refused(what, f"It calls TensorFlow's function {function or OLDER} as a layer")


def refuse_in_archive(config: Any, what: str) -> None:
    """Raise `WeightsError` if a ``.keras`` archive holds operations: Keras itself reads those."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        waiting += (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        )
        if isinstance(node, dict) and node.get("class_name") in KINDS:
            raise WeightsError(
                f'{what} can\'t be loaded: Keras 3 has no layer "{node.get("name")}".',
                "It is a TFOpLambda of Keras 2.",
                "The same network as .h5, in which those layers are understood.",
                "With Keras 2 (package tf_keras), type:  "
                'tf_keras.models.load_model(FILE).save("FILE.h5")',
            )


def built_operation(layer: dict[str, Any], what: str) -> dict[str, Any]:
    """Return a serialised operation as a layer of `operation_class`, all its tensors its inputs.

    Raises
    ------
    WeightsError
        If it is called several times, or with arguments that are not known here.
    """
    function, nodes = layer["config"]["function"], layer.get("inbound_nodes") or []
    if len(nodes) != 1:
        raise _refused(what, f"It calls {function} {len(nodes)} times as one layer")
    inputs: list[list[Any]] = []
    (node,) = nodes
    is_list = bool(node) and isinstance(node[0], list)
    parts = node if is_list else [node]
    first = [_first(part, inputs) for part in parts]
    extra = parts[0][3] if parts and len(parts[0]) > 3 else {}
    named = {
        key: _with_places(value, inputs)
        for key, value in extra.items()
        if key != "name" and value is not None and not (key in _OFF and value is False)
    }
    _check_arguments(function, named, what)
    config = {
        "name": layer["config"]["name"],
        "function": function,
        "arguments": {"first": first if is_list else first[0], "named": named},
    }
    name = layer.get("name", config["name"])
    return {
        "class_name": "TFOpLambda",
        "config": config,
        "name": name,
        "inbound_nodes": [[[*each, {}] for each in inputs]],
    }


@cache
def operation_class(keras: Any) -> Any:
    """Return the layer that runs an operation; a subclass, so Keras must be imported first."""

    class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]  # Keras publishes no types
        def __init__(self, function: str, arguments: dict[str, Any], **kwargs: Any) -> None:
            super().__init__(autocast=False, **kwargs)
            self.function, self.arguments = function, arguments

        def call(self, inputs: Any) -> Any:
            tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            first = _with_tensors(self.arguments["first"], tensors)
            named = _with_tensors(self.arguments["named"], tensors)
            return OPERATIONS[self.function](keras.ops, first, **named)

        def get_config(self) -> dict[str, Any]:
            own = {"function": self.function, "arguments": self.arguments}
            return {**super().get_config(), **own}

    return TFOpLambda


def _first(part: list[Any], inputs: list[list[Any]]) -> Any:
    if part[0] == _CONSTANT:
        return part[2]
    inputs.append(part[:3])
    return {_TENSOR: len(inputs) - 1}


def _with_places(value: Any, inputs: list[list[Any]]) -> Any:
    """Return an argument with its tensors, ``["layer", 0, 0]``, as places among the inputs."""
    if isinstance(value, dict):
        return {key: _with_places(each, inputs) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:]):
        return _first(value, inputs)
    return [_with_places(each, inputs) for each in value]


def _with_tensors(value: Any, tensors: list[Any]) -> Any:
    if isinstance(value, dict) and set(value) == {_TENSOR}:
        return tensors[value[_TENSOR]]
    if isinstance(value, dict):
        return {key: _with_tensors(each, tensors) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_tensors(each, tensors) for each in value]
    return value


def _check_arguments(function: str, named: Mapping[str, Any], what: str) -> None:
    known = inspect.signature(OPERATIONS[function]).parameters
    unknown = [key for key in named if key not in known]
    if unknown:
        raise _refused(what, f"It calls {function} with {', '.join(unknown)}")


def _refused(what: str, why: str) -> WeightsError:
    return WeightsError(
        f"{what} can't be loaded: {why}.",
        "Keras 3 can't, and cutpoint does not know it.",
        f"Functions known ({len(OPERATIONS)}): cast, concat, expand_dims, one_hot, reshape, stack, "
        "tile, transpose, slices, most of math and nn. Or the same network in a format that holds "
        "its graph: SavedModel, or ONNX.",
        "With Keras 2 (package tf_keras), type:  tf_keras.models.load_model(FILE).export(FOLDER)   "
        f"then:  {layers_of('savedmodel:FOLDER', trust_weights=True)}",
    )


Operation = Callable[..., Any]


def _unary(ops: Any, x: Any, *, kind: str) -> Any:
    return getattr(ops, kind)(x)


def _binary(ops: Any, x: Any, y: Any, *, kind: str) -> Any:
    """Call an operation of two arrays; what is no tensor takes the type of the other."""
    if not hasattr(x, "dtype"):
        x = ops.convert_to_tensor(x, y.dtype)
    elif not hasattr(y, "dtype"):
        y = ops.convert_to_tensor(y, x.dtype)
    return getattr(ops, kind)(x, y)


def _reduced(ops: Any, x: Any, axis: Any = None, keepdims: bool = False, *, kind: str) -> Any:
    return getattr(ops, kind)(x, axis=_axes(axis), keepdims=keepdims)


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _one_hot(
    ops: Any,
    x: Any,
    depth: int,
    on_value: float = 1,
    off_value: float = 0,
    axis: int = -1,
    dtype: str = "float32",
) -> Any:
    return ops.one_hot(x, depth, axis=axis, dtype=dtype) * (on_value - off_value) + off_value


def _l2_normalize(ops: Any, x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    total = ops.sum(ops.square(x), axis=_axes(axis), keepdims=True)
    return x * ops.rsqrt(ops.maximum(total, epsilon))


def _matmul(ops: Any, x: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    x = ops.swapaxes(x, -1, -2) if transpose_a else x
    return ops.matmul(x, ops.swapaxes(b, -1, -2) if transpose_b else b)


def _slice(ops: Any, x: Any, slice_spec: Any) -> Any:
    several = slice_spec if isinstance(slice_spec, list) else [slice_spec]
    return x[tuple(_place(each) for each in several)]


def _place(spec: Any) -> Any:
    """Return one place of an index: Keras 2 writes slices as dicts and an ellipsis by its name."""
    if isinstance(spec, dict) and set(spec) == _SLICE:
        return slice(spec["start"], spec["stop"], spec["step"])
    if isinstance(spec, dict) or (isinstance(spec, str) and spec.lower() == "ellipsis"):
        return Ellipsis
    return spec


def _squeezed(ops: Any, x: Any, axis: Any = None) -> Any:
    return ops.squeeze(x, axis=_axes(axis))


_SAME = (  # called alike in ``tf.math`` and in ``keras.ops``
    *("abs", "ceil", "cos", "erf", "exp", "expm1", "floor", "log", "log1p", "negative"),
    *("reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "softplus", "sqrt", "square"),
    *("tan", "tanh"),
)
_PAIRS = {
    **{kind: kind for kind in ("add", "subtract", "multiply", "divide", "maximum", "minimum")},
    **{kind: kind for kind in ("equal", "not_equal", "greater", "greater_equal", "less")},
    **{kind: kind for kind in ("less_equal", "logical_and", "logical_or")},
    "pow": "power",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "floormod": "mod",
}
_REDUCTIONS = {
    **{f"reduce_{kind}": kind for kind in ("max", "mean", "min", "prod", "sum", "all", "any")},
    "reduce_std": "std",
    "reduce_variance": "var",
    "reduce_logsumexp": "logsumexp",
}

OPERATIONS: dict[str, Operation] = {
    **{f"math.{kind}": partial(_unary, kind=kind) for kind in _SAME},
    **{f"math.{kind}": partial(_binary, kind=own) for kind, own in _PAIRS.items()},
    **{f"math.{kind}": partial(_reduced, kind=own) for kind, own in _REDUCTIONS.items()},
    **{f"nn.{kind}": partial(_unary, kind=kind) for kind in ("elu", "relu", "relu6", "selu")},
    "__operators__.add": partial(_binary, kind="add"),
    "__operators__.getitem": _slice,
    "cast": lambda ops, x, dtype: ops.cast(x, dtype),
    "clip_by_value": lambda ops, x, clip_value_min, clip_value_max: ops.clip(
        x, clip_value_min, clip_value_max
    ),
    "compat.v1.squeeze": _squeezed,
    "compat.v1.transpose": lambda ops, x, perm=None: ops.transpose(x, perm),
    "concat": lambda ops, x, axis: ops.concatenate(x, axis=axis),
    "expand_dims": lambda ops, x, axis: ops.expand_dims(x, axis=axis),
    "identity": lambda ops, x: x,
    "linalg.matmul": _matmul,
    "math.l2_normalize": _l2_normalize,
    "nn.leaky_relu": lambda ops, x, alpha=0.2: ops.leaky_relu(x, negative_slope=alpha),
    "nn.silu": partial(_unary, kind="silu"),
    "nn.softmax": lambda ops, x, axis=-1: ops.softmax(x, axis=axis),
    "one_hot": _one_hot,
    "reshape": lambda ops, x, shape: ops.reshape(x, shape),
    "squeeze": _squeezed,
    "stack": lambda ops, x, axis=0: ops.stack(x, axis=axis),
    "tile": lambda ops, x, multiples: ops.tile(x, multiples),
    "transpose": lambda ops, x, perm=None: ops.transpose(x, perm),
}
"""Name in a file → what it computes: ``(keras.ops, first argument, **others)``."""
