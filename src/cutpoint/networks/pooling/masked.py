"""Mean and maximum over space, padding left out where a mask says what is padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from cutpoint.base.ops import Ops, space_axes

_LOWEST = float(np.finfo(np.float32).min)


def space_mean(activation: Any, layout: str, ops: Ops, mask: Any = None) -> Any:
    """Return the mean over space, or over the valid places.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, channels, height, width)
        Or as `layout` says.
    mask : array or tensor of shape (n_items, n_places), optional
        1 where a place is valid, 0 where it is padding, of the activation's own type; of layouts
        with one axis of space, tokens or time. What the padding holds, NaN included, is not used.

    Returns
    -------
    means : same kind and type, shape (n_items, channels)
        Zeros for an item without any valid place.
    """
    axes = space_axes(layout)
    if mask is None:
        return ops.mean(activation, axes)
    total = ops.mean(without_padding(activation, layout, ops, mask), axes)
    # Both are means over all places, so their quotient is the mean over the valid ones.
    return ops.multiply(total, ops.power(valid_share(mask, ops), -1.0))


def space_max(activation: Any, layout: str, ops: Ops, mask: Any = None) -> Any:
    """Return the maximum over space, or over the valid places; all else is as in `space_mean`."""
    axes = space_axes(layout)
    if mask is None:
        return ops.max(activation, axes)
    largest = ops.max(without_padding(activation, layout, ops, mask, _LOWEST), axes)
    return ops.where(ops.reshape(ops.max(mask, (1,)), (1,)), largest, 0.0)


def without_padding(
    activation: Any, layout: str, ops: Ops, mask: Any, otherwise: float = 0.0
) -> Any:
    """Return `activation` with one value in the place of all padding."""
    (axis,) = space_axes(layout)
    valid = ops.reshape(mask, (activation.shape[axis], 1))  # None where items differ in length
    valid = valid if axis == 1 else ops.permute(valid, (0, 2, 1))
    return ops.where(valid, activation, otherwise)


def valid_share(mask: Any, ops: Ops) -> Any:
    """Return the share of places that are valid, (n_items, 1); above 0 though none is."""
    n_places = mask.shape[1] or 1_000_000  # more than an item has, where items differ in length
    return ops.at_least(ops.reshape(ops.mean(mask, (1,)), (1,)), 0.5 / n_places)


def places_like(activation: Any, layout: str, ops: Ops) -> Any:
    """Return a mask, (n_items, n_places), by which all places of `activation` are valid."""
    channels = ops.mean(activation, (layout.index("C"),))
    return ops.at_least(ops.scale(channels, 0.0), 1.0)


def last_place(mask: Any, ops: Ops) -> Any:
    """Return a mask of the last valid place of each item alone."""
    ranks = ops.running_sum(mask)
    length = ops.reshape(ops.max(ranks, (1,)), (1,))
    # 1 at the last place, 0 and less before it.
    place = ops.add(ops.add(ranks, ops.scale(length, -1)), mask)
    return ops.multiply(_step(place, ops), mask)


def bin_masks(mask: Any, ops: Ops, n_bins: int, is_adaptive: bool) -> list[Any]:
    """Return a mask of each of the bins that an item's valid places fall into.

    They are those of `edges`, or of `adaptive_edges`, of an item as long as its valid places: the
    place of rank r belongs to bin k from ⌊k·L/n⌋ on. All numbers are whole, and small enough for
    float32, so that steps can be written as differences cut off at 0 and 1.
    """
    ranks = ops.running_sum(mask)  # r + 1
    length = ops.reshape(ops.max(ranks, (1,)), (1,))
    after, before = ops.scale(ranks, n_bins), ops.scale(ops.add(ranks, ops.scale(mask, -1)), n_bins)

    def beyond(numbers: Any, bound: int) -> Any:
        return _step(ops.add(numbers, ops.scale(length, -bound)), ops)

    found = []
    for place in range(n_bins):
        from_start = beyond(after, place)
        stop = beyond(ops.add(before, mask) if is_adaptive else after, place + 1)
        inside = ops.add(from_start, ops.scale(stop, -1))
        # With fewer places than bins, each bin has one all the same.
        first = ops.add(from_start, ops.scale(beyond(before, place), -1))
        both = ops.add(ops.add(inside, first), ops.scale(ops.multiply(inside, first), -1))
        found.append(ops.multiply(both, mask))
    return found


def _step(numbers: Any, ops: Ops) -> Any:
    """Return 1 for whole numbers above 0, else 0."""
    return ops.scale(ops.at_least(ops.scale(ops.at_least(numbers, 0.0), -1), -1.0), -1)
