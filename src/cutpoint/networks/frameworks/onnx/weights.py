"""What an ONNX graph's weights are, byte for byte, and which nodes use them."""

from __future__ import annotations

import hashlib
from typing import Any

WHEN_CHANGED = (
    'onnx.save(backbone.network, "changed.onnx");  '
    'backbone = cp.load("changed.onnx", preprocess=backbone.spec.preprocess)'
)


def weights_digests(network: Any) -> dict[str, str]:
    """Return the digest of each initializer, and one of all else: nodes, functions, inputs.

    A message is written part by part, as one of more than 2 GB can't be written whole.
    """
    graph = network.graph
    found = {str(each.name): _sha256([each]) for each in graph.initializer}
    rest = [*graph.input, *graph.output, *graph.sparse_initializer, *network.opset_import]
    return {**found, "the graph": _sha256([*graph.node, *network.functions, *rest])}


def _sha256(messages: list[Any]) -> str:
    digest = hashlib.sha256()
    for message in messages:
        data = message.SerializeToString(deterministic=True)
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
