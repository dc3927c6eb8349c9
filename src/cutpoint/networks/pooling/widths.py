"""What a pool gives at a layer, before anything runs: its shape, its width, its names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from cutpoint.base.errors import ShapeError
from cutpoint.base.ops import space_axes
from cutpoint.base.tongue import option
from cutpoint.networks.layer_table import Layer
from cutpoint.networks.pooling.h2t import h2t_bins, h2t_compat_bins
from cutpoint.networks.pooling.parse import keeps_space, pools_of, read_pool
from cutpoint.networks.pooling.spp import LEVELS

Place = tuple[int | str, ...]


def pooled_shape(layer: Layer, pool: str) -> tuple[int, ...]:
    """Return the shape of one item's features.

    Parameters
    ----------
    layer : Layer
    pool : str
        One pool, not ``auto``.

    Raises
    ------
    UsageError, ShapeError
        If there is no such pool, it can't run here, or items differ in size.

    Examples
    --------
    >>> layer = Layer(0, "blocks.6", "Block", (None, 320, 7, 7), 32, 0, 0)
    >>> pooled_shape(layer, "gap"), pooled_shape(layer, "spp"), pooled_shape(layer, "grid(4)")
    ((320,), (6720,), (320, 4, 4))
    """
    (pool,) = pools_of(layer, pool)
    name, arguments, _ = read_pool(pool)
    if name in ("none", "flatten", "h2t"):
        _refuse_free(layer)
    item = tuple(int(size or 0) for size in layer.shape[1:])
    if name == "none":
        return item
    n_channels = item[layer.layout.index("C") - 1]
    sizes = [item[axis - 1] for axis in space_axes(layer.layout)]
    match name:
        case "grid":
            return tuple(n_channels if letter == "C" else arguments["n"] for letter in _axes(layer))
        case "gram":
            return (n_channels, n_channels)
        case "cls+mean":
            return (2 * n_channels,)
        case "flatten":
            return (math.prod(item),)
        case "h2t":
            return (n_channels * math.prod(_h2t_counts(n_channels, sizes, arguments)),)
        case "spp":
            levels = arguments.get("levels", LEVELS)
            return (n_channels * sum(level ** len(sizes) for level in levels),)
        case _:
            return (n_channels,)


def map_layouts(pooled: Iterable[tuple[Layer, str]]) -> dict[str, str]:
    """Return the layout of each stored map or sequence of tokens, ``"layer/pool"`` → ``"NCHW"``.

    Parameters
    ----------
    pooled : iterable of (Layer, str)
        Layers with the pool that is kept of each.
    """
    return {
        f"{layer.name}/{pool}": layer.layout
        for layer, pool in pooled
        if keeps_space(pool) and space_axes(layer.layout)
    }


def free_rows(pooled: Iterable[tuple[Layer, str]]) -> dict[str, int]:
    """Return the axis of a row along which items differ in length, by tap; of taps with one alone.

    Parameters
    ----------
    pooled : iterable of (Layer, str)
        Layers with the pool that is kept of each; ``none`` alone keeps an item's own length.

    Raises
    ------
    ShapeError
        If items differ along two axes of a tap that is to be kept whole.

    Examples
    --------
    >>> layer = Layer(0, "encoder", "Encoder", (None, None, 768), None, 0, 0, layout="NTC")
    >>> free_rows([(layer, "none"), (layer, "gap")])
    {'encoder/none': 0}
    """
    found = {}
    for layer, pool in pooled:
        if pool != "none" or not layer.free_axes:
            continue
        if len(layer.free_axes) > 1:
            raise ShapeError(
                f'Layer "{layer.name}" can\'t be kept whole: items differ in size along '
                f"{len(layer.free_axes)} axes.",
                f"That layer gives {layer.shape_text} ({layer.layout}), where ? is the item's own.",
                "Rows that differ in length along one axis; or a pool of one width.",
                f"Type, for example:  {option('pool', 'grid(4)')}",
            )
        found[f"{layer.name}/{pool}"] = layer.free_axes[0] - 1
    return found


def pooled_width(layer: Layer, pool: str) -> int:
    """Return the number of one item's features, all of ``none`` and ``grid`` counted.

    Examples
    --------
    >>> pooled_width(Layer(0, "blocks.6", "Block", (None, 320, 7, 7), 32, 0, 0), "none")
    15680
    """
    return math.prod(pooled_shape(layer, pool))


def feature_names(layer: Layer, pool: str) -> list[str]:
    """Return the names of one item's features, in their order.

    In brackets the channel comes first, then where in the map: row and column, or the token; of
    bins, the bin's. ``cls+mean`` says which of the two, ``spp`` the level, ``gram`` two channels.

    Examples
    --------
    >>> layer = Layer(0, "blocks.6", "Block", (None, 320, 7, 7), 32, 0, 0)
    >>> feature_names(layer, "gap")[17], feature_names(layer, "spp")[-1]
    ('blocks.6/gap[17]', 'blocks.6/spp[319,4x4,3,3]')
    """
    (pool,) = pools_of(layer, pool)
    shape = pooled_shape(layer, pool)
    return [
        f"{layer.name}/{pool}[{','.join(map(str, place))}]" for place in _places(layer, pool, shape)
    ]


def _places(layer: Layer, pool: str, shape: tuple[int, ...]) -> Iterator[Place]:
    name, arguments, _ = read_pool(pool)
    if keeps_space(pool):
        return _in_layout(layer, shape)
    if name == "gram":
        return _counted(shape)
    item = tuple(int(size or 0) for size in layer.shape[1:])
    n_channels = item[layer.layout.index("C") - 1]
    sizes = tuple(item[axis - 1] for axis in space_axes(layer.layout))
    match name:
        case "cls+mean":
            return ((channel, part) for part in ("cls", "mean") for channel in range(n_channels))
        case "flatten":
            return _counted((n_channels, *sizes))
        case "h2t":
            counts = _h2t_counts(n_channels, sizes, arguments)
            if "compat" not in arguments:
                return _counted((n_channels, *counts))
            return ((place[-1], *place[:-1]) for place in _counted((*counts, n_channels)))
        case "spp":
            levels = arguments.get("levels", LEVELS)
            return _in_pyramid(n_channels, levels, len(sizes), "adaptive" in arguments)
        case _:
            return _counted(shape)


def _h2t_counts(n_channels: int, sizes: Sequence[int], arguments: Mapping[str, Any]) -> Any:
    bins = h2t_compat_bins if "compat" in arguments else h2t_bins
    return bins(n_channels, sizes, arguments["target"])


def _in_pyramid(
    n_channels: int, levels: Sequence[int], n_axes: int, is_channel_first: bool
) -> Iterator[Place]:
    """Yield channel, level and bin, level by level or channel by channel."""
    by_level = product(levels, range(n_channels))
    pairs = (
        by_level
        if not is_channel_first
        else ((b, a) for a, b in product(range(n_channels), levels))
    )
    for level, channel in pairs:
        for bin_ in _counted((level,) * n_axes):
            yield (channel, "x".join([str(level)] * n_axes), *bin_)


def _counted(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*map(range, sizes))


def _in_layout(layer: Layer, shape: tuple[int, ...]) -> Iterator[Place]:
    """Yield the places of an array that keeps the layer's layout, each with its channel first."""
    letters = _axes(layer)
    first = letters.index("C") if "C" in letters else 0
    order = [first, *(axis for axis in range(len(shape)) if axis != first)]
    for place in _counted(shape):
        yield tuple(place[axis] for axis in order) if shape else ()


def _axes(layer: Layer) -> str:
    return layer.layout[1:]


def _refuse_free(layer: Layer) -> None:
    if layer.free_axes:
        raise ShapeError(
            f'The features of layer "{layer.name}" have no one shape: items differ in length.',
            f"That layer gives {layer.shape_text} ({layer.layout}), where ? is the item's own.",
            "A pool, whose features have one; or a network whose input has a fixed size.",
            "State the size when loading it, for example with:  "
            f"{option('preprocess', 'imagenet')}",
        )
