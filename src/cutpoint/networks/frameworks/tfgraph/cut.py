"""Cut a graph at its taps: preprocessing in front, pools behind, nothing after the deepest tap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.spec import BackboneSpec, Preprocess, TapSpec
from cutpoint.base.types import Array, Batch, Features, checked_batch, n_items_of
from cutpoint.networks.frameworks.inputs import mask_of_tap
from cutpoint.networks.frameworks.tfgraph.convert import CONVERTERS
from cutpoint.networks.frameworks.tfgraph.layers import grows_with_batch, network_inputs
from cutpoint.networks.frameworks.tfgraph.network import GraphNetwork, import_network
from cutpoint.networks.frameworks.tfgraph.ops import TENSORFLOW
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool
from cutpoint.networks.runtimes.tensorflow import (
    constants_sha256,
    import_tensorflow,
)

tf = import_tensorflow()


class GraphCut:
    """A truncated, frozen graph with its pools.

    Parameters
    ----------
    network : GraphNetwork
        Left as it is.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Mean and standard deviation are applied in the graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        The network's; says how each tap's axes are laid out.

    Notes
    -----
    A graph with sizes made for one item, as some TF.js models have, is given items one by one.
    """

    def __init__(
        self,
        network: GraphNetwork,
        preprocess: Preprocess,
        taps: Sequence[TapSpec],
        table: LayerTable,
    ) -> None:
        self.taps = tuple(taps)
        self.inputs = preprocess.inputs
        layers = list(dict.fromkeys(tap.layer for tap in taps))
        self._is_batched = grows_with_batch(network, preprocess, layers)
        n_items = None if self._is_batched else 1
        self.concrete = _traced(network, preprocess, self.taps, table, n_items)
        self._session = _session(self.concrete.graph)
        self.converts_to: tuple[str, ...] = ("openvino",) if self._is_batched else ()
        self.why_native = "" if self._is_batched else "its graph is made for one item at a time"

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
        n_items = n_items_of(given)
        step = n_items if self._is_batched else 1
        starts = range(0, n_items, step)
        parts = [self._pass({n: x[at : at + step] for n, x in given.items()}) for at in starts]
        names = [tap.name for tap in self.taps]
        return {
            name: np.concatenate([part[place] for part in parts])
            for place, name in enumerate(names)
        }

    def _pass(self, batch: Batch) -> list[Any]:
        outputs = [f"tap_{place}:0" for place in range(len(self.taps))]
        fed = zip(self.concrete.inputs, self.inputs, strict=True)
        found: list[Any] = self._session.run(outputs, {x.name: batch[n] for x, n in fed})
        return found

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        return CONVERTERS[engine](self.concrete, len(self.taps))

    def state_sha256(self) -> str:
        """Digest of the names and bytes of all constants held."""
        return constants_sha256(self.concrete)


def make_cut(network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable) -> Cut:
    """Return `network` cut at `taps`."""
    return GraphCut(network, spec.preprocess, taps, table)


def _session(graph: Any) -> Any:
    """Return what runs a graph.

    Without TensorFlow's remapper, which merges convolutions with what follows them: on a real
    network (BlazeFace of Human, whose convolutions are added to padded maps) what it makes crashes
    the process in TensorFlow 2.21 with oneDNN. It would save a third of the time (MobileNet,
    batch of 32: 0.07 s for 0.11 s); a session can be told so, a function can't.
    """
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.remapping = options.graph_options.rewrite_options.OFF
    return tf.compat.v1.Session(graph=graph, config=options)


def _traced(
    network: GraphNetwork,
    preprocess: Preprocess,
    taps: tuple[TapSpec, ...],
    table: LayerTable,
    n_items: int | None,
) -> Any:
    """Return the function from a prepared batch to the pooled taps ``tap_0``, ``tap_1``, …"""
    inputs = preprocess.inputs

    def run(*arrays: Any) -> list[Any]:
        batch = dict(zip(inputs, arrays, strict=True))
        fed = network_inputs(network, batch, preprocess, table.backbone)
        activations = import_network(network, fed, [tap.layer for tap in taps])
        outputs = []
        for place, (tap, activation) in enumerate(zip(taps, activations, strict=True)):
            layer = table[tap.layer]
            # An open batch can hide the other sizes where a graph computes shapes.
            activation.set_shape((n_items, *layer.shape[1:]))
            mask = mask_of_tap(layer, inputs)
            counted = tf.cast(batch[mask], activation.dtype) if mask else None
            how = (layer.layout, TENSORFLOW, counted, tap.revision)
            pooled = apply_pool(tap.pool, activation, *how)
            outputs.append(tf.identity(tf.cast(pooled, tf.float32), name=f"tap_{place}"))
        return outputs

    specs = [
        tf.TensorSpec((n_items, *each.shape), each.dtype, name=f"batch_{place}")
        for place, each in enumerate(inputs.values())
    ]
    return tf.function(run).get_concrete_function(*specs)
