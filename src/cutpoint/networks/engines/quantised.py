"""Networks in 8-bit integers: made by NNCF from items of the data, kept as bytes."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from safetensors.numpy import load, save

from cutpoint.base.contracts import Cut
from cutpoint.base.types import Array, Batch, Features, Prepared, stacked
from cutpoint.networks.engines.native import NativeEngine, no_precision
from cutpoint.networks.engines.openvino import OpenVINOEngine
from cutpoint.networks.runtimes.openvino import import_nncf, import_openvino

_GRAPH, _WEIGHTS = "graph", "weights"


class QuantisedCut:
    """A cut that OpenVINO runs in 8-bit integers; called itself, it is the framework's float32.

    Parameters
    ----------
    cut : Cut
        What was quantised.
    network : bytes
        What `quantise` returned.
    """

    converts_to: tuple[str, ...] = (OpenVINOEngine.name,)
    why_native = ""

    def __init__(self, cut: Cut, network: bytes) -> None:
        self.taps, self.inputs = cut.taps, cut.inputs
        self._cut, self._network = cut, network

    def __call__(self, batch: Batch | Array) -> Features:
        return self._cut(batch)

    def convert(self, engine: str) -> Any:
        return _read(self._network)

    def state_sha256(self) -> str:
        return hashlib.sha256(self._network).hexdigest()


def compiled_id(spec_id: str, cut: Cut) -> str:
    """Return what names a compiled cut: of a quantised one its network, too."""
    return f"{spec_id} {cut.state_sha256()}" if isinstance(cut, QuantisedCut) else spec_id


def quantise(cut: Cut, items: Sequence[Prepared]) -> bytes:
    """Return the cut with weights and activations in 8 bits where OpenVINO computes in them.

    Weights are scaled by their own range, activations by their range over `items`; both by NNCF's
    preset MIXED, asymmetric for activations. By the same versions on the same processor, equal
    items give equal numbers.

    Parameters
    ----------
    items : sequence of prepared items
        Some hundred.

    Raises
    ------
    MissingExtra
        If OpenVINO or NNCF is absent.
    UsageError
        If OpenVINO can't run the cut.
    """
    if OpenVINOEngine.name not in cut.converts_to:
        raise no_precision("int8", NativeEngine.name)
    nncf = import_nncf()
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(StringIO()):  # it draws a bar there, and stdout is for results
        model = nncf.quantize(
            cut.convert(OpenVINOEngine.name),
            nncf.Dataset([_fed(cut, item) for item in items]),
            # Seen on EfficientNet-Lite0: smallest cosine 0.864, with the default preset 0.815.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(items),
        )
    return _written(model)


def _fed(cut: Cut, item: Prepared) -> Any:
    """Return a batch of one item as OpenVINO takes it: of several inputs, by their places."""
    batch = stacked([item])
    return {place: batch[name] for place, name in enumerate(cut.inputs)}


def truncate(network: bytes, places: Sequence[int]) -> bytes:
    """Return a quantised network with some of its outputs, in that order."""
    model = _read(network)
    results = [model.get_results()[place] for place in places]
    return _written(import_openvino().Model(results, model.get_parameters(), "truncated"))


def _read(network: bytes) -> Any:
    """Return the ``openvino.Model``."""
    arrays = load(network)
    core = import_openvino().Core()
    return core.read_model(arrays[_GRAPH].tobytes(), arrays[_WEIGHTS].tobytes())


def _unnumbered(graph: bytes) -> bytes:
    """Name layers by their place in the graph: OpenVINO counts them on from network to network."""
    root = ElementTree.fromstring(graph)  # noqa: S314  OpenVINO wrote it a moment ago
    root.set("name", "network")
    for layer in root.iter("layer"):
        layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
    for info in root.iter("rt_info"):
        for each in info.findall("attribute[@name='fused_names']"):
            info.remove(each)
    return ElementTree.tostring(root)


def _written(model: Any) -> bytes:
    """Return a model in OpenVINO's own format, as one safetensors file."""
    with tempfile.TemporaryDirectory(prefix="cutpoint-") as folder:
        graph, weights = Path(folder) / "network.xml", Path(folder) / "network.bin"
        import_openvino().serialize(model, graph, weights)
        parts = {_GRAPH: _unnumbered(graph.read_bytes()), _WEIGHTS: weights.read_bytes()}
    return save({name: np.frombuffer(data, np.uint8) for name, data in parts.items()})
