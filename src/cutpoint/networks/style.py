"""How far two images are apart in content and in style, as a network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import BadItem, DataError, UsageError
from cutpoint.base.text import a_kind, printable
from cutpoint.base.types import Prepared, stacked
from cutpoint.items.kinds import prepare_item
from cutpoint.items.reading import Item, read_payload
from cutpoint.networks.backbone import Backbone


@dataclass(frozen=True)
class ImageDistance:
    """Distances of two images, layer by layer.

    Attributes
    ----------
    content : dict of layer → float
        Mean squared difference of the activations: the same things in the same places.
    style : dict of layer → float
        Mean squared difference of the Gram matrices: the same textures, wherever they are.
    """

    content: dict[str, float]
    style: dict[str, float]

    def __str__(self) -> str:
        names = {layer: printable(layer) for layer in [*self.style, *self.content]}
        width = max(map(len, [*names.values(), "layer"]))
        lines = [f"{'layer':<{width}}  {'content':>10}  {'style':>10}"]
        for layer, name in names.items():
            cells = (
                f"{found[layer]:>10.4g}" if layer in found else f"{'–':>10}"
                for found in (self.content, self.style)
            )
            lines.append(f"{name:<{width}}  {'  '.join(cells)}")
        return "\n".join(lines)


def image_distance(
    one: Any,
    other: Any,
    backbone: Backbone,
    content: Sequence[str | int] | None = None,
    style: Sequence[str | int] | None = None,
) -> ImageDistance:
    """Return the distances of two images at chosen layers.

    Parameters
    ----------
    one, other : path, bytes of a file, PIL image or uint8 array (height, width, 3)
    backbone : Backbone
        A backbone of images, with maps at the layers.
    content : sequence of taps, optional
        The deepest map by default.
    style : sequence of taps, optional
        The deepest map of each stride by default.

    Raises
    ------
    TapNotFound
        If the backbone has no such layer.
    ShapeError
        If a layer gives no map.

    Notes
    -----
    Distances compare pairs of images at one layer; those of two layers have different units.

    References
    ----------
    Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", 2016: the terms of its
    eqs. 1 and 4, here as means, so that layers of any size can be read side by side.

    Examples
    --------
    >>> import cutpoint as cp
    >>> from cutpoint.testing import FakeBackbone
    >>> grey = np.full((16, 16, 3), 90, np.uint8)
    >>> cp.style.image_distance(grey, grey, FakeBackbone(), style=["conv2"]).style
    {'conv2': 0.0}
    """
    if not isinstance(backbone, Backbone):
        raise UsageError(
            f"The backbone is {a_kind(backbone)}.",
            "Distances are measured in the layers of a backbone.",
            "What `cutpoint.load` returns.",
            "Type, for example:  cp.style.image_distance(a, b, cp.load(NAME))",
        )
    table = backbone.layers()
    by_stride = {row.stride: row.name for row in table.maps()}
    contents = _names(backbone, content, list(by_stride.values())[-1:])
    styles = _names(backbone, style, list(by_stride.values()))
    batch = stacked([_prepared(image, backbone) for image in (one, other)])
    specs = {
        *backbone.tap_specs(contents, ["none"]),
        *backbone.tap_specs(styles, ["gram"]),
    }
    order = sorted(specs, key=lambda tap: (table[tap.layer].index, tap.pool))
    found = backbone.cut_at(order)(batch)
    return ImageDistance(
        {layer: _mean_square(found[f"{layer}/none"]) for layer in contents},
        {layer: _mean_square(found[f"{layer}/gram"]) for layer in styles},
    )


def _names(backbone: Backbone, taps: Sequence[str | int] | None, otherwise: list[str]) -> list[str]:
    return otherwise if taps is None else [row.name for row in backbone.layers().select(*taps)]


def _prepared(image: Any, backbone: Backbone) -> Prepared:
    try:
        is_path = isinstance(image, str | Path)
        payload = read_payload(Item("", Path(image))) if is_path else image
        return prepare_item(payload, backbone.spec.preprocess)[0]
    except BadItem as error:
        raise DataError(
            "One of the two images can't be used.",
            f"Why: {error.reason}.",
            "A path, the bytes of a file, a PIL image or a uint8 array (height, width, 3).",
            'Type, for example:  cp.style.image_distance("a.jpg", "b.jpg", backbone)',
        ) from error


def _mean_square(pair: Any) -> float:
    return float(np.square(pair[0].astype(np.float64) - pair[1]).mean())
