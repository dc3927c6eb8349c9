"""Head2Toe's pooling: as many bins as bring a layer to about a target width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cutpoint.base.errors import ShapeError
from cutpoint.base.ops import NUMPY, Ops, space_axes
from cutpoint.base.tongue import option
from cutpoint.networks.pooling.bins import binned
from cutpoint.networks.pooling.flatten import pool_flatten


def pool_h2t(
    activation: Any,
    layout: str = "NCHW",
    ops: Ops = NUMPY,
    *,
    target: int,
    compat: bool = False,
    mask: Any = None,
) -> Any:
    """Means of bins, of which there are as many as `target` features allow.

    Parameters
    ----------
    activation, layout, ops, mask
        As in `pool_gap`.
    target : int
        Features wanted of the layer. A layer with as many channels or more gives its global mean.
    compat : bool, default False
        Whether to pool with the quirks of the authors' code: `pool_h2t_compat`.

    Returns
    -------
    features : same kind and type, shape (n_items, channels · bins)
        At most `target` of them, or `channels`; in the order of `pool_flatten`.

    Notes
    -----
    Bins partition the map or the tokens, so nothing is dropped. With a mask they partition an
    item's valid tokens; of fewer tokens than bins some are repeated, so that all items are as wide.

    References
    ----------
    Evci et al., "Head2Toe: Utilizing Intermediate Representations for Better Transfer Learning",
    2022.

    Examples
    --------
    >>> import numpy as np
    >>> pool_h2t(np.ones((1, 197, 768)), "NTC", target=8192).shape
    (1, 7680)
    """
    if compat and mask is not None:
        raise ShapeError(
            "Head2Toe's own pooling does not know padding.",
            "The items are padded, and its windows drop places at the end.",
            "The bins of `h2t(T)`, which are those of the valid tokens.",
            f"Type, for example:  {option('pool', f'h2t({target})')}",
        )
    if compat:
        return pool_h2t_compat(activation, layout, ops, target=target)
    axes = space_axes(layout)
    sizes = [int(activation.shape[axis]) for axis in axes]
    counts = h2t_bins(int(activation.shape[layout.index("C")]), sizes, target)
    return pool_flatten(binned(activation, layout, ops, counts, mask=mask), layout, ops)


def h2t_bins(n_channels: int, sizes: Sequence[int], target: int) -> tuple[int, ...]:
    """Return the bins along each axis of space; never more than it has places.

    Examples
    --------
    >>> h2t_bins(1024, (15, 15), 8192), h2t_bins(768, (197,), 2048)
    ((2, 2), (2,))
    """
    n_bins = max(target // n_channels, 1)
    a_side = _root(n_bins, len(sizes))
    return tuple(min(a_side, size) for size in sizes)


def _root(number: int, degree: int) -> int:
    """Return the largest integer whose power of `degree` does not exceed `number`."""
    root = int(number ** (1 / degree))  # a cube root can be a digit short
    return root + 1 if (root + 1) ** degree <= number else root


def pool_h2t_compat(activation: Any, layout: str = "NHWC", ops: Ops = NUMPY, *, target: int) -> Any:
    """Head2Toe's pooling with the quirks of the authors' code, to repeat their numbers.

    Windows of one size start at the first place, and what is left over at the end is dropped: 17
    of 197 tokens for a target of 8192, 51 for 2048 (ViT-B). A window that would be smaller than
    one place becomes the global mean. Maps are taken for square.

    Parameters
    ----------
    activation : array or tensor of shape (n_items, height, width, channels) or \
(n_items, n_tokens, channels)
        Or as `layout` says.
    layout, ops
        As in `pool_gap`.
    target : int
        Features wanted; the real number can be half of it: 15 × 15 × 1024 gives 4096 for 8192.

    Returns
    -------
    features : same kind and type, shape (n_items, bins · channels)
        Place by place, as TensorFlow flattens.

    References
    ----------
    Evci et al., 2022; ``flatten_and_concat`` in google-research/head2toe, mode "normal".

    Examples
    --------
    >>> import numpy as np
    >>> pool_h2t_compat(np.ones((1, 15, 15, 1024)), target=8192).shape
    (1, 4096)
    """
    axes = space_axes(layout)
    sizes = [int(activation.shape[axis]) for axis in axes]
    n_channels = int(activation.shape[layout.index("C")])
    if len(axes) not in (1, 2):
        raise ShapeError(
            f"Head2Toe's own pooling can't run over {layout}.",
            f"The activation has shape {tuple(activation.shape)}.",
            "Maps (NHWC, NCHW) or tokens (NTC).",
            f"Pool it otherwise, for example with:  {option('pool', 'h2t(8192)')}",
        )
    window = _compat_window(sizes, n_channels, target)
    if window == 0:
        return ops.mean(activation, axes)
    counts = h2t_compat_bins(n_channels, sizes, target)
    for axis, count in zip(axes, counts, strict=True):
        activation = ops.slice(activation, axis, 0, count * window)
    pooled = binned(activation, layout, ops, counts)
    places_first = ops.permute(pooled, (0, *axes, layout.index("C")))
    return ops.copy(ops.reshape(places_first, (math.prod(counts) * n_channels,)))


def h2t_compat_bins(n_channels: int, sizes: Sequence[int], target: int) -> tuple[int, ...]:
    """Return the authors' windows along each axis of space, one of all places included.

    Examples
    --------
    >>> h2t_compat_bins(1024, (15, 15), 8192), h2t_compat_bins(768, (197,), 8192)
    ((2, 2), (10,))
    """
    window = _compat_window(sizes, n_channels, target)
    return tuple(size // window if window else 1 for size in sizes)


def _compat_window(sizes: Sequence[int], n_channels: int, target: int) -> int:
    """Return the side of a window; 0 stands for all places, there as here."""
    if n_channels >= target:
        return 0
    if len(sizes) == 1:
        return int(sizes[0] / (target / n_channels))
    return sizes[1] // int(math.sqrt(target // n_channels))
