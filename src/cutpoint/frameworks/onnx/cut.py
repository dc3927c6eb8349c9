"""Cut an ONNX graph at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from cutpoint.frameworks.onnx.graph import Graph
from cutpoint.frameworks.onnx.inputs import add_input
from cutpoint.frameworks.onnx.ops import Builder, OnnxOps, Value, tensor_info
from cutpoint.frameworks.onnx.shapes import cannot_run
from cutpoint.layer_table import LayerTable
from cutpoint.pooling import apply_pool
from cutpoint.runtimes.onnx import Session
from cutpoint.spec import BackboneSpec, Preprocess, TapSpec
from cutpoint.types import Array, Batch, Cut, Features, check_batch

_TOLERANCES = {"float16": 1e-2}
"""How far an item may move, relative to the largest value, when it gets batch mates: rounding
alone. Of float16 networks a last digit (1e-3) can flip and grow on its way; others: 1e-4."""


class OnnxCut:
    """A truncated graph with its pools, run by onnxruntime.

    Parameters
    ----------
    network : onnx.ModelProto
        Left as it is.
    preprocess : PreprocessSpec or ArraySpec
        Mean, deviation and the order of colours are nodes of the cut's graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        Of the network; says how each tap's axes are laid out.

    Attributes
    ----------
    model : onnx.ModelProto
        The cut: prepared batch of any size in, one float32 output a tap, in the order of `taps`.
    is_one_by_one : bool
        Whether the graph mixes the items of a batch, or takes one alone; items are then run one
        by one, and `why_native` says so.
    """

    converts_to: tuple[str, ...] = ("openvino", "onnxruntime")
    why_native = ""

    def __init__(
        self, network: Any, preprocess: Preprocess, taps: Sequence[TapSpec], table: LayerTable
    ) -> None:
        self.taps = tuple(taps)
        self.input_shape = preprocess.array_shape
        self.input_dtype = preprocess.dtype
        graph = Graph(network)
        self.model = _cut_model(graph, preprocess, self.taps, table)
        try:
            self._session = Session(self.model)
            singles = [self._session(item[None]) for item in self._probe()]
        except Exception as error:  # whatever onnxruntime meets in a file it can't run
            raise cannot_run(table.backbone, error) from error
        why = _why_one_by_one(self._session, self._probe(), singles, graph.input.dtype)
        self.is_one_by_one = bool(why)
        if why:
            self.converts_to, self.why_native = (), why

    def __call__(self, batch: Batch) -> Features:
        """Return features of a batch.

        Parameters
        ----------
        batch : array of shape (n_items, *input_shape)
            Images uint8 RGB, 0–255.

        Returns
        -------
        features : dict of tap name → float32 array of shape (n_items, …)
        """
        check_batch(batch, self.input_shape, self.input_dtype)
        outputs = self._one_by_one(batch) if self.is_one_by_one else self._session(batch)
        return {tap.name: output for tap, output in zip(self.taps, outputs, strict=True)}

    def _one_by_one(self, batch: Batch) -> list[Array]:
        each = [self._session(batch[row : row + 1]) for row in range(len(batch))]
        return [np.concatenate(rows) for rows in zip(*each, strict=True)]

    def _probe(self) -> Array:
        """Return three items as unlike as can be: loud, faint, 90 dB fainter.

        A graph that measures something over the whole batch gives itself away by them. None is
        silent: what networks that normalise make of silence is rounding alone.
        """
        random = np.random.default_rng(0)
        shape, dtype = self.input_shape, self.input_dtype
        if dtype == "int64":  # token ids: 0 and 1 are in every vocabulary
            items = [random.integers(0, 2, shape), np.ones(shape), np.zeros(shape)]
        elif dtype == "uint8":
            items = [random.integers(0, high, shape) for high in (256, 16, 2)]
        else:
            items = [random.normal(0, scale, shape) for scale in (1.0, 1e-2, 3e-5)]
        return np.stack(items).astype(dtype)

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        from cutpoint.frameworks.onnx.convert import CONVERTERS

        return CONVERTERS[engine](self)

    def state_sha256(self) -> str:
        """Digest of the names and bytes of all weights and constants held."""
        digest = hashlib.sha256()
        for tensor in sorted(self.model.graph.initializer, key=lambda each: str(each.name)):
            values = numpy_helper.to_array(tensor)  # files have several spellings of one array
            digest.update(f"{tensor.name}{values.dtype}{values.shape}".encode())
            digest.update(values.tobytes())
        for node in self.model.graph.node:
            if node.op_type == "Constant":
                digest.update(node.SerializeToString(deterministic=True))
        return digest.hexdigest()


def make_cut(network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable) -> Cut:
    """Return `network` cut at `taps`."""
    return OnnxCut(network, spec.preprocess, taps, table)


def _cut_model(
    graph: Graph, preprocess: Preprocess, taps: tuple[TapSpec, ...], table: LayerTable
) -> Any:
    taken = set(graph.producers) | set(graph.weights) | {graph.input.name}
    front = Builder(graph.opset, taken, "before")
    behind = Builder(graph.opset, taken, "behind")
    batch = front.name("batch")
    add_input(front, batch, graph.input, preprocess)
    outputs = [_add_tap(behind, place, tap, table) for place, tap in enumerate(taps)]
    return graph.part(
        [tensor_info(value.name, "float32", value.shape) for value in outputs],
        inputs=[tensor_info(batch, preprocess.dtype, (None, *preprocess.array_shape))],
        front=front.nodes,
        rest=behind.nodes,
        constants=[*front.constants, *behind.constants],
    )


def _add_tap(builder: Builder, place: int, tap: TapSpec, table: LayerTable) -> Value:
    """Append a tap's pool, in float32 whatever the network computes in."""
    layer = table[tap.layer]
    activation = Value(builder.cast(layer.name, "float32"), layer.shape)
    pooled = apply_pool(tap.pool, activation, layer.layout, OnnxOps(builder))
    return Value(
        builder.add("Identity", pooled.name, result=builder.name(f"tap_{place}")), pooled.shape
    )


def _why_one_by_one(
    run: Callable[[Array], Sequence[Array]],
    items: Array,
    singles: Sequence[Sequence[Array]],
    dtype: str,
) -> str:
    """Return why `items` must not be run together; empty if they may."""
    try:
        together = run(items)
    except Exception:  # onnxruntime's word on a graph that holds its batch size
        return "the graph takes one item at a time, so items are run one by one"
    for found, *alone in zip(together, *singles, strict=True):
        truth = np.concatenate(alone)
        if found.shape != truth.shape:
            return "the graph takes one item at a time, so items are run one by one"
        scale = np.abs(truth[np.isfinite(truth)]).max(initial=1e-30)
        tolerance = _TOLERANCES.get(dtype, 1e-4) * scale
        if not np.allclose(found, truth, rtol=0, atol=tolerance, equal_nan=True):
            return "in this graph an item depends on its batch mates, so items are run one by one"
    return ""
