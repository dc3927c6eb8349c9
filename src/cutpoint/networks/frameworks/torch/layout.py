"""Which axis of an output is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from cutpoint.base.spec import Preprocess
from cutpoint.networks import layer_table
from cutpoint.networks.frameworks.inputs import first_shape, picture_sides

Shape = tuple[int, ...]
Sides = tuple[int, int]
Output = tuple[Shape, nn.Module | None]

# Their channels lie in the last, or the second axis, by definition. Exact classes: subclasses such
# as LayerNorm2d turn that round.
_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
_SECOND = (
    nn.Conv1d,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.GroupNorm,
    nn.MaxPool2d,
    nn.AvgPool2d,
)


def image_sides(preprocess: Preprocess) -> Sides | None:
    """Return height and width of what the network takes; None if that is no image.

    Arrays of three axes are (channels, height, width), as PyTorch has images.
    """
    sides = picture_sides(preprocess)
    if sides is not None:
        return sides
    shape = first_shape(preprocess)
    return (shape[1], shape[2]) if len(shape) == 3 else None


def stride_of(shape: Shape, layout: str, sides: Sides | None) -> int | None:
    """Return input pixels per output pixel; None for what is no map of more than one pixel."""
    if sides is None or "H" not in layout:
        return None
    return layer_table.stride_of(sides[0], shape[layout.index("H")])


def layouts(outputs: Sequence[Output], sides: Sides | None) -> list[str]:
    """Return a letter for each axis of each output, or "" where nobody can tell.

    Parameters
    ----------
    outputs : sequence of (shape with the batch, module or None)
    sides : height and width of the input image, or None

    Notes
    -----
    Among four axes, the two that shrink together are space. Where both readings fit, the kind of
    module decides, else what most others of the network are, else NCHW; where none fits, the
    output is no map. Of three axes, the one as long as channels known elsewhere is channels.
    """
    evidence = _Evidence(outputs, sides)
    return [evidence.letters(output) for output in outputs]


class _Evidence:
    """What some outputs of a network tell about the others."""

    def __init__(self, outputs: Sequence[Output], sides: Sides | None) -> None:
        self._sides = sides
        certain = [(shape, _by_module(shape, module)) for shape, module in outputs]
        self._channels = {shape[text.index("C")] for shape, text in certain if text}
        self._n_tokens = {shape[text.index("T")] for shape, text in certain if "T" in text}
        readings = [self._readings(shape) for shape, _ in outputs]
        settled = Counter(fitting[0] for fitting in readings if len(fitting) == 1)
        self._usual = settled.most_common(1)[0][0] if settled else "NCHW"

    def letters(self, output: Output) -> str:
        shape, module = output
        if len(shape) == 4:
            return self._map_letters(shape, module)
        if len(shape) == 3:
            is_turned = shape[1] in self._channels and shape[2] not in self._channels
            return _by_module(shape, module) or ("NCT" if is_turned else "NTC")
        return "NC" if len(shape) == 2 else ""

    def _map_letters(self, shape: Shape, module: nn.Module | None) -> str:
        fitting = self._readings(shape)
        known = _by_module(shape, module)
        if not known and {shape[2], shape[3]} <= self._n_tokens:
            return ""  # attention, tokens × tokens
        if len(fitting) < 2:
            return fitting[0] if fitting else ""
        return known or self._usual

    def _readings(self, shape: Shape) -> list[str]:
        if len(shape) != 4 or self._sides is None:
            return []
        readings = {"NCHW": shape[2:], "NHWC": shape[1:3]}
        return [letters for letters, (h, w) in readings.items() if _fits(h, w, *self._sides)]


def _by_module(shape: Shape, module: nn.Module | None) -> str:
    if type(module) in _LAST:
        return {3: "NTC", 4: "NHWC"}.get(len(shape), "")
    if type(module) in _SECOND:
        return {3: "NCT", 4: "NCHW"}.get(len(shape), "")
    return ""


def _fits(height: int, width: int, image_height: int, image_width: int) -> bool:
    """Say whether both sides of a map shrank alike."""
    if image_height == image_width:
        return height == width
    strides = (round(image_height / height), round(image_width / width))
    return strides[0] == strides[1] or height == width == 1
