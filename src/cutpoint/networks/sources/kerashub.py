"""``kerashub:preset``: KerasHub's image backbones, from its hubs or a local preset folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cutpoint.base.errors import BackboneNotFound, MissingExtra, UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.tongue import layers_of, option
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.runtimes.keras import import_keras
from cutpoint.networks.sources.keras_networks import keras_backbone, weights_sha256


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a KerasHub backbone; KerasHub itself finds, downloads and loads the preset.

    Preprocessing is that of the preset's image converter.
    """
    import_keras()
    try:
        import keras_hub
    except ImportError as error:
        raise MissingExtra(f'Backbone "kerashub:{name}"', "kerashub") from error
    try:
        network = keras_hub.models.Backbone.from_preset(name)
    except Exception as error:  # whatever KerasHub, its hubs or the folder meet
        known = sorted(keras_hub.models.Backbone.presets)
        raise BackboneNotFound(
            f'Backbone "kerashub:{name}" can\'t be loaded.',
            f"KerasHub says: {' '.join(str(error).split())[:300]}",
            f"One of its {len(known)} presets, such as {', '.join(known[:3])}; or a preset folder.",
            f"Type, for example:  {layers_of('kerashub:./resnet_18_imagenet')}",
        ) from error
    converter = _converter(keras_hub, name)
    known_spec = None if options.preprocess is not None else _preprocess(converter, name)
    folder = Path(name).resolve() if Path(name).is_dir() else None
    load_name = f"kerashub:{folder or name}"
    spec_name = folder.name if folder else name
    sha256 = weights_sha256(network)
    height, width = _size(converter)
    side_px = height if height == width else None
    return keras_backbone(
        network, "kerashub", spec_name, sha256, options, known_spec, load_name, side_px
    )


def _converter(keras_hub: Any, name: str) -> Any | None:
    try:
        return keras_hub.layers.ImageConverter.from_preset(name)
    except Exception:  # a preset without converter: the user is asked instead
        return None


def _size(converter: Any | None) -> tuple[int | None, int | None]:
    """Return height and width of what a converter gives."""
    return (converter and converter.image_size) or (None, None)


def _preprocess(converter: Any | None, name: str) -> PreprocessSpec | None:
    """Return the recipe of the preset's converter; None if it has none."""
    if converter is None:
        return None
    height, width = _size(converter)
    if height is None or height != width or converter.interpolation not in ("bilinear", "bicubic"):
        raise UsageError(
            f'How backbone "kerashub:{name}" prepares its images is not understood.',
            f"Its converter gives {height}×{width} by {converter.interpolation}.",
            "Square input, bilinear or bicubic.",
            f"State a recipe with:  {option('preprocess', 'imagenet')}",
        )
    scale, offset = _triple(converter.scale, 1.0), _triple(converter.offset, 0.0)
    std = tuple(1 / value for value in scale)
    mean = tuple(0.0 - shift / value for shift, value in zip(offset, scale, strict=True))
    return PreprocessSpec(
        resize_px=height,
        crop_px=height,
        interpolation=converter.interpolation,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        fit="crop" if converter.crop_to_aspect_ratio else "squash",
    )


def _triple(values: Any, otherwise: float) -> tuple[float, float, float]:
    if values is None:
        return (otherwise,) * 3
    if isinstance(values, (int, float)):
        return (float(values),) * 3
    flat = [float(value) for value in import_keras().ops.convert_to_numpy(values).ravel()]
    return (flat[0], flat[1], flat[2])
