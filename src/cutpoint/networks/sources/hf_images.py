"""transformers' image processors in the words of `PreprocessSpec`."""

from __future__ import annotations

from typing import Any

from PIL import Image

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.tongue import option

# They resize, crop, rescale and normalise, and do nothing else.
_PLAIN = (
    "BitImageProcessor",
    "BlipImageProcessor",
    "CLIPImageProcessor",
    "DeiTImageProcessor",
    "MobileNetV1ImageProcessor",
    "MobileNetV2ImageProcessor",
    "SiglipImageProcessor",
    "ViTImageProcessor",
)
_CONVNEXT = "ConvNextImageProcessor"
_CONVNEXT_SQUASH_PX = 384  # from there on `ConvNextImageProcessor.resize` crops no more


def image_preprocess(processor: Any, what: str) -> PreprocessSpec:
    """Return what an image processor does.

    Raises
    ------
    UsageError
        If that is no resizing to a square and no crop of one; `what` is the backbone.
    """
    kind = type(processor).__name__.removesuffix("Pil").removesuffix("Fast")
    if kind not in (*_PLAIN, _CONVNEXT) or not processor.do_resize:
        raise _unsayable(what, kind, processor)
    sizes = _convnext_sizes(processor) if kind == _CONVNEXT else _sizes(processor)
    if sizes is None:
        raise _unsayable(what, kind, processor)
    resize_px, crop_px, fit = sizes
    mean, std = _mean_and_std(processor)
    interpolation = Image.Resampling(processor.resample).name.lower()
    return PreprocessSpec(resize_px, crop_px, interpolation, mean, std, fit=fit)


def _sizes(processor: Any) -> tuple[int, int, str] | None:
    """Return `resize_px`, `crop_px` and `fit`; None if the result is no square of the image."""
    height, width = processor.size.height, processor.size.width
    crop = _square(processor.crop_size) if processor.do_center_crop else None
    shortest = processor.size.shortest_edge
    if shortest and not processor.size.longest_edge and crop and crop <= shortest:
        return shortest, crop, "crop"
    if height and height == width and (crop is None or crop == height):
        return height, height, "squash"
    return None


def _convnext_sizes(processor: Any) -> tuple[int, int, str] | None:
    side = processor.size.shortest_edge
    if not side or processor.do_center_crop:
        return None
    if side >= _CONVNEXT_SQUASH_PX:
        return side, side, "squash"
    return int(side / processor.crop_pct), side, "crop"


def _square(size: Any) -> int | None:
    return size.height if size and size.height == size.width else None


def _mean_and_std(
    processor: Any,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and deviation of pixels from 0 to 255."""
    scale = processor.rescale_factor if processor.do_rescale else 1.0
    means = processor.image_mean if processor.do_normalize else (0.0,) * 3
    stds = processor.image_std if processor.do_normalize else (1.0,) * 3
    return _scaled(means, scale), _scaled(stds, scale)


def _scaled(values: Any, scale: float) -> tuple[float, float, float]:
    red, green, blue = (float(value) / scale for value in values)
    return red, green, blue


def _unsayable(what: str, kind: str, processor: Any) -> UsageError:
    return UsageError(
        f'How backbone "{what}" prepares its images is not understood.',
        f"A {kind} does, size {dict(processor.size or {})}, which is not one square resized to, "
        "or cropped out.",
        f"Processors understood: {', '.join((*_PLAIN, _CONVNEXT))}.",
        f"State the nearest recipe yourself, for example:  {option('preprocess', 'imagenet')}",
    )
