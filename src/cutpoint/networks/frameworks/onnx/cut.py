"""Cut an ONNX graph at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from cutpoint.base.contracts import Cut
from cutpoint.base.spec import BackboneSpec, Preprocess, TapSpec
from cutpoint.base.types import Array, Batch, Features, checked_batch, n_items_of
from cutpoint.networks.frameworks.inputs import FREE, mask_of_tap
from cutpoint.networks.frameworks.onnx.convert import CONVERTERS
from cutpoint.networks.frameworks.onnx.graph import Graph
from cutpoint.networks.frameworks.onnx.inputs import add_inputs
from cutpoint.networks.frameworks.onnx.ops import Builder, OnnxOps, Value, tensor_info
from cutpoint.networks.frameworks.onnx.shapes import cannot_run
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool
from cutpoint.networks.runtimes.batch_mates import probes, why_one_by_one
from cutpoint.networks.runtimes.onnx import Session


class OnnxCut:
    """A truncated graph with its pools, run by onnxruntime.

    Parameters
    ----------
    network : onnx.ModelProto
        Left as it is.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Mean, deviation and the order of colours are nodes of the cut's graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        The network's; says how each tap's axes are laid out.

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
        self.inputs = preprocess.inputs
        graph = Graph(network)
        self.model = _cut_model(graph, preprocess, self.taps, table)
        try:
            self._session = Session(self.model, inputs=list(self.inputs))
            why = why_one_by_one(self._session, probes(self.inputs, FREE))
        except Exception as error:  # whatever onnxruntime meets in a file it can't run
            raise cannot_run(table.backbone, error) from error
        self.is_one_by_one = bool(why)
        if why:
            self.converts_to, self.why_native = (), why

    def __call__(self, batch: Batch | Array) -> Features:
        """Return features of a batch.

        Parameters
        ----------
        batch : mapping of input → array of shape (n_items, …)
            As `inputs` says; of one input its array will do.

        Returns
        -------
        features : dict of tap name → float32 array of shape (n_items, …)
        """
        given = checked_batch(batch, self.inputs)
        outputs = self._one_by_one(given) if self.is_one_by_one else self._session(given)
        return {tap.name: output for tap, output in zip(self.taps, outputs, strict=True)}

    def _one_by_one(self, batch: Batch) -> list[Array]:
        rows = range(n_items_of(batch))
        each = [self._session({n: x[row : row + 1] for n, x in batch.items()}) for row in rows]
        return [np.concatenate(found) for found in zip(*each, strict=True)]

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        return CONVERTERS[engine](self.model)

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
    taken = set(graph.producers) | set(graph.weights) | {each.name for each in graph.inputs}
    front = Builder(graph.opset, taken, "before")
    behind = Builder(graph.opset, taken, "behind")
    batch = {name: front.name(f"batch/{name}") for name in preprocess.inputs}
    add_inputs(front, batch, graph, preprocess, table.backbone)
    masks = {
        name: Value(behind.cast(batch[name], "float32"), (None, *each.shape))
        for name, each in preprocess.inputs.items()
        if each.mask_of
    }
    inputs = preprocess.inputs
    outputs = [
        _add_tap(behind, place, tap, table, masks.get(mask_of_tap(table[tap.layer], inputs)))
        for place, tap in enumerate(taps)
    ]
    return graph.part(
        [tensor_info(value.name, "float32", value.shape) for value in outputs],
        inputs=[
            tensor_info(batch[n], each.dtype, (None, *each.shape)) for n, each in inputs.items()
        ],
        front=front.nodes,
        rest=behind.nodes,
        constants=[*front.constants, *behind.constants],
    )


def _add_tap(
    builder: Builder, place: int, tap: TapSpec, table: LayerTable, mask: Value | None
) -> Value:
    """Append a tap's pool, in float32 whatever the network computes in."""
    layer = table[tap.layer]
    activation = Value(builder.cast(layer.name, "float32"), layer.shape)
    ops = OnnxOps(builder)
    pooled = apply_pool(tap.pool, activation, layer.layout, ops, mask, tap.revision)
    return Value(
        builder.add("Identity", pooled.name, result=builder.name(f"tap_{place}")), pooled.shape
    )
