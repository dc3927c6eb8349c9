"""Space in parts: every place belongs to exactly one bin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from cutpoint.pooling.ops import Axes, Ops, space_axes

Reduce = Callable[[Any, Axes], Any]


def edges(size: int, n_bins: int) -> list[tuple[int, int]]:
    """Return where each of `n_bins` starts and stops; sizes differ by one at most.

    Examples
    --------
    >>> edges(7, 3)
    [(0, 2), (2, 4), (4, 7)]
    """
    bounds = [place * size // n_bins for place in range(n_bins + 1)]
    return list(pairwise(bounds))


def binned(activation: Any, layout: str, ops: Ops, counts: Sequence[int], reduce: Reduce) -> Any:
    """Return `activation` with `counts` bins along its axes of space; the layout is kept.

    Bins are reduced along one axis after the other, which gives the same mean or maximum as the
    whole bin at once and costs the sum of the counts in operations, not their product.
    """
    for axis, n_bins in zip(space_axes(layout), counts, strict=True):
        activation = _binned_axis(activation, axis, n_bins, ops, reduce)
    return activation


def _binned_axis(x: Any, axis: int, n_bins: int, ops: Ops, reduce: Reduce) -> Any:
    size = int(x.shape[axis])
    if n_bins == size:
        return x
    shape = [int(length) for length in x.shape[1:]]
    shape[axis - 1] = 1
    parts = [
        ops.reshape(reduce(ops.slice(x, axis, start, stop), (axis,)), shape)
        for start, stop in edges(size, n_bins)
    ]
    return parts[0] if n_bins == 1 else ops.concat(parts, axis)
