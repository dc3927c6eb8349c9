"""``timm:mobilenetv3_small_100``: timm's networks with their pretrained weights."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec, PreprocessSpec
from cutpoint.base.tongue import layers_of
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.torch_weights import (
    import_torchvision_based,
    refuse_nan,
    state_sha256,
    torch_framework,
)

_FOLDER = "local-dir:"


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a timm network with pretrained weights, never random ones.

    `name` is what ``timm.create_model`` takes: a model with or without a tag, or
    ``local-dir:FOLDER`` for a folder with ``config.json`` and weights. timm itself finds,
    downloads and loads the weights; preprocessing is its data configuration.
    """
    timm = import_torchvision_based("timm", f"timm:{name}", "timm")
    own_name, place = _names(name)
    try:
        network = timm.create_model(place, pretrained=True)
    except Exception as error:  # whatever timm, the hub client or the file meets
        raise _refused(timm, name, error) from error
    refuse_nan(network, f"timm:{name}")
    config = timm.data.resolve_model_data_config(network)
    known = options.preprocess or _preprocess(name, config)
    preprocess = stated_preprocess(known, f"timm:{name}", side_px=config["input_size"][1])
    spec = BackboneSpec("timm", own_name, "image", state_sha256(network), preprocess)
    return Backbone(spec, lambda: network, torch_framework, f"timm:{place}")


def names() -> list[str]:
    """Return the names of timm's networks, or raise `MissingExtra`."""
    found: list[str] = import_torchvision_based("timm", "timm's networks", "timm").list_models()
    return found


def _names(name: str) -> tuple[str, str]:
    """Return how a network is called wherever its folder lies, and where it lies."""
    if not name.startswith(_FOLDER):
        return name, name
    folder = Path(name.removeprefix(_FOLDER)).expanduser().resolve()
    return f"{_FOLDER}{folder.name}", f"{_FOLDER}{folder}"


def _preprocess(name: str, config: Mapping[str, Any]) -> PreprocessSpec:
    """Return timm's recipe: shorter side to ``floor(crop / crop_pct)``, centre crop."""
    _, height, width = config["input_size"]
    known = config["crop_mode"] == "center" and height == width
    if not known or config["interpolation"] not in ("bilinear", "bicubic"):
        raise UsageError(
            f'The preprocessing of backbone "timm:{name}" is not built yet.',
            f"Its weights want {config['interpolation']} to {height}×{width}, "
            f'crop mode "{config["crop_mode"]}".',
            "Square input, centre crop, bilinear or bicubic.",
            'State a recipe with:  cp.load(network, preprocess="imagenet")',
        )
    mean, std = ([255 * value for value in config[part]] for part in ("mean", "std"))
    return PreprocessSpec(
        resize_px=math.floor(height / config["crop_pct"]),
        crop_px=height,
        interpolation=config["interpolation"],
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def _refused(timm: Any, name: str, error: Exception) -> Exception:
    """Return the error for a name timm does not know, or for weights it can't load."""
    known: list[str] = timm.list_models()
    if name.partition(".")[0] not in known and not name.startswith((_FOLDER, "hf")):
        nearest = difflib.get_close_matches(name, known, n=3) or known[:3]
        return BackboneNotFound(
            f'No backbone "timm:{name}".',
            "timm has no such network.",
            f"Nearest: {', '.join(nearest)}.",
            f"Type, for example:  {layers_of(f'timm:{nearest[0]}')}",
        )
    return WeightsError(
        f'The weights of "timm:{name}" can\'t be loaded.',
        f"timm says: {' '.join(str(error).split())[:300]}",
        "A network to download them, or a folder with config.json and the weights.",
        f"From a folder, type:  {layers_of('timm:local-dir:FOLDER')}",
    )
