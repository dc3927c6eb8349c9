"""Cut a ``keras.Model`` at its taps: pools inside, nothing after the deepest tap."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from cutpoint.base.contracts import Cut
from cutpoint.base.spec import BackboneSpec, Constants, Preprocess, TapSpec
from cutpoint.base.types import Array, Batch, Features, checked_batch
from cutpoint.networks.frameworks.inputs import mask_of_tap
from cutpoint.networks.frameworks.keras.convert import CONVERTERS
from cutpoint.networks.frameworks.keras.ops import KERAS
from cutpoint.networks.frameworks.keras.watch import (
    DeepestTapReached,
    all_layers,
    call_network,
    is_channels_first,
    watched,
)
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool
from cutpoint.networks.runtimes.tensorflow import constants_sha256, frozen, import_tensorflow

_ON_TORCH = "Keras on PyTorch is not converted; on TensorFlow it is (KERAS_BACKEND=tensorflow)"


class KerasCut:
    """A truncated, frozen network with its pools.

    On TensorFlow the truncated pass is traced once and its weights become constants of the graph:
    later weights are not held, and nothing the network does afterwards reaches the cut. On PyTorch
    the network itself runs, up to the deepest tap.

    Parameters
    ----------
    network : keras.Model
        Left as it is.
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Mean and standard deviation are applied in the graph.
    taps : sequence of TapSpec
        All are read in one pass.
    table : LayerTable
        The network's; says how each tap's axes are laid out.
    constants : Constants
        What the other inputs are given.
    """

    def __init__(
        self,
        network: Any,
        preprocess: Preprocess,
        taps: Sequence[TapSpec],
        table: LayerTable,
        constants: Constants = (),
    ) -> None:
        self.taps = tuple(taps)
        self.inputs = preprocess.inputs
        on_torch = keras.backend.backend() == "torch"
        self.converts_to: tuple[str, ...] = () if on_torch else ("openvino",)
        self.why_native = _ON_TORCH if on_torch else ""
        forward = _truncated(network, preprocess, self.taps, table, constants)
        self._run: _Runner = (_Eager if on_torch else _Graph)(forward, self, network)

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
        outputs = self._run(checked_batch(batch, self.inputs))
        return {tap.name: output for tap, output in zip(self.taps, outputs, strict=True)}

    def convert(self, engine: str) -> Any:
        """Return this cut in the form `engine` runs."""
        return CONVERTERS[engine](self.concrete, len(self.taps), self.inputs)

    @property
    def concrete(self) -> Any:
        """The traced function, where there is one."""
        assert isinstance(self._run, _Graph)
        return self._run.concrete

    def state_sha256(self) -> str:
        """Digest of all weights and statistics held."""
        return self._run.state_sha256()


def make_cut(network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], table: LayerTable) -> Cut:
    """Return `network` cut at `taps`."""
    return KerasCut(network, spec.preprocess, taps, table, spec.constants)


Forward = Callable[[Mapping[str, Any]], list[Any]]


def _truncated(
    network: Any,
    preprocess: Preprocess,
    taps: tuple[TapSpec, ...],
    table: LayerTable,
    constants: Constants,
) -> Forward:
    """Return prepared batch → pooled taps, stopping at the deepest."""
    layers = all_layers(network)
    wanted = {layer: layers[layer] for layer in dict.fromkeys(tap.layer for tap in taps)}
    first = is_channels_first(network)
    masks = {tap.layer: mask_of_tap(table[tap.layer], preprocess.inputs) for tap in taps}

    def forward(batch: Mapping[str, Any]) -> list[Any]:
        pooled: dict[str, Any] = {}
        waiting = set(wanted)

        def read(name: str, output: Any) -> None:
            layout, mask = table[name].layout, masks[name]
            counted = keras.ops.cast(batch[mask], output.dtype) if mask else None
            for tap in taps:
                if tap.layer == name:
                    found = apply_pool(tap.pool, output, layout, KERAS, counted, tap.revision)
                    pooled[tap.name] = keras.ops.cast(found, "float32")
            waiting.discard(name)
            if not waiting:
                raise DeepestTapReached

        with watched(wanted, read), contextlib.suppress(DeepestTapReached):
            call_network(network, batch, preprocess, first, constants, table.backbone)
        return [pooled[tap.name] for tap in taps]

    return forward


class _Graph:
    """TensorFlow: traced once, frozen."""

    def __init__(self, forward: Forward, cut: KerasCut, network: Any) -> None:
        tf = import_tensorflow()

        def named(*arrays: Any) -> list[Any]:
            found = forward(dict(zip(cut.inputs, arrays, strict=True)))
            return [tf.identity(x, name=f"tap_{place}") for place, x in enumerate(found)]

        specs = [
            tf.TensorSpec((None, *each.shape), each.dtype, name=f"batch_{place}")
            for place, each in enumerate(cut.inputs.values())
        ]
        traced = tf.function(named, autograph=False).get_concrete_function(*specs)
        self.concrete = frozen(traced)
        self._constant = tf.constant

    def __call__(self, batch: Batch) -> list[Any]:
        arrays = (self._constant(each) for each in batch.values())
        return [output.numpy() for output in self.concrete(*arrays)]

    def state_sha256(self) -> str:
        return constants_sha256(self.concrete)


class _Eager:
    """PyTorch: the network itself, one pass at a time, as the layers are watched meanwhile."""

    def __init__(self, forward: Forward, cut: KerasCut, network: Any) -> None:
        self._forward, self._network = forward, network
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> list[Any]:
        import torch

        with self._lock, torch.no_grad():
            arrays = {name: np.ascontiguousarray(each) for name, each in batch.items()}
            return [output.cpu().numpy() for output in self._forward(arrays)]

    def state_sha256(self) -> str:
        digest = hashlib.sha256()
        for weight in self._network.weights:
            digest.update(weight.path.encode() + keras.ops.convert_to_numpy(weight).tobytes())
        return digest.hexdigest()


_Runner = _Graph | _Eager
