"""What of an image's preparation runs inside the graph: order of colours, mean and deviation."""

from __future__ import annotations

from cutpoint.base.contracts import InGraph
from cutpoint.base.spec import PreprocessSpec


def in_graph(spec: PreprocessSpec) -> dict[str, InGraph]:
    """Return the constants; pixels come as uint8 RGB, channels last."""
    order = (2, 1, 0) if spec.channels == "BGR" else ()
    return {"image": InGraph("NHWC", order, spec.mean, spec.std)}
