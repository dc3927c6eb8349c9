"""Space in parts: bins that partition it, or that overlap as adaptive pooling's do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from cutpoint.base.ops import Axes, Ops, space_axes
from cutpoint.networks.pooling.masked import bin_masks, space_max, space_mean

Reduce = Callable[[Any, Axes], Any]
Edges = Callable[[int, int], list[tuple[int, int]]]
"""``edges_of(size, n_bins)`` → where each bin starts and stops."""


def edges(size: int, n_bins: int) -> list[tuple[int, int]]:
    """Return where each of `n_bins` starts and stops; sizes differ by one at most.

    None is empty: more bins than places repeat places.

    Examples
    --------
    >>> edges(7, 3)
    [(0, 2), (2, 4), (4, 7)]
    """
    bounds = [place * size // n_bins for place in range(n_bins + 1)]
    return [(start, max(stop, start + 1)) for start, stop in pairwise(bounds)]


def adaptive_edges(size: int, n_bins: int) -> list[tuple[int, int]]:
    """Return where each of `n_bins` starts and stops, as PyTorch's adaptive pools have them.

    Neighbours share a place where `size` is no multiple of `n_bins`, so that all places are
    covered by bins of nearly one size; more bins than places repeat places.

    Examples
    --------
    >>> adaptive_edges(7, 3), adaptive_edges(2, 3)
    ([(0, 3), (2, 5), (4, 7)], [(0, 1), (0, 2), (1, 2)])
    """
    return [(at * size // n_bins, -(-(at + 1) * size // n_bins)) for at in range(n_bins)]


def binned(
    activation: Any,
    layout: str,
    ops: Ops,
    counts: Sequence[int],
    how: str = "mean",
    is_adaptive: bool = False,
    mask: Any = None,
) -> Any:
    """Return `activation` with `counts` bins along its axes of space; the layout is kept.

    Bins are reduced along one axis after the other, which gives the same mean or maximum as the
    whole bin at once and costs the sum of the counts in operations, not their product. With a
    mask, an item's bins are those of its valid places alone.
    """
    if mask is not None:
        (count,) = counts
        return _binned_valid(activation, layout, ops, count, how, is_adaptive, mask)
    reduce, edges_of = getattr(ops, how), adaptive_edges if is_adaptive else edges
    for axis, n_bins in zip(space_axes(layout), counts, strict=True):
        activation = _binned_axis(activation, axis, n_bins, ops, reduce, edges_of)
    return activation


def _binned_valid(
    x: Any, layout: str, ops: Ops, n_bins: int, how: str, is_adaptive: bool, mask: Any
) -> Any:
    reduce = {"mean": space_mean, "max": space_max}[how]
    (axis,) = space_axes(layout)
    n_channels = int(x.shape[layout.index("C")])
    shape = (1, n_channels) if axis == 1 else (n_channels, 1)
    masks = bin_masks(mask, ops, n_bins, is_adaptive)
    parts = [ops.reshape(reduce(x, layout, ops, each), shape) for each in masks]
    return parts[0] if n_bins == 1 else ops.concat(parts, axis)


def _binned_axis(x: Any, axis: int, n_bins: int, ops: Ops, reduce: Reduce, edges_of: Edges) -> Any:
    size = int(x.shape[axis])
    if n_bins == size:
        return x
    shape = [int(length) for length in x.shape[1:]]
    shape[axis - 1] = 1
    parts = [
        ops.reshape(reduce(ops.slice(x, axis, start, stop), (axis,)), shape)
        for start, stop in edges_of(size, n_bins)
    ]
    return parts[0] if n_bins == 1 else ops.concat(parts, axis)
