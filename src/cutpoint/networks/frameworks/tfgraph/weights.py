"""What a TensorFlow graph's nodes are, its constants among them, byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

# No source reads a bare graph: it is loaded again as it was, trusted as it was then.
WHEN_CHANGED = (
    "backbone = cp.load(backbone.load_name, preprocess=backbone.spec.preprocess, "
    "trust_weights=True)"
)


def weights_digests(network: Any) -> dict[str, str]:
    """Return the digest of each node, weights being constants, and one of the functions."""
    graph = network.graph_def
    found = {str(node.name): _sha256(node) for node in graph.node}
    return {**found, "the functions": _sha256(graph.library)}


def _sha256(message: Any) -> str:
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()
