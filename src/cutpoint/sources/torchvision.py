"""``torchvision:resnet50``: torchvision's classification networks with their default weights."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Any

from cutpoint.backbone import Backbone, LoadOptions
from cutpoint.errors import BackboneNotFound, WeightsError
from cutpoint.preprocess import stated_preprocess
from cutpoint.sources.torch_weights import (
    import_torchvision_based,
    refuse_nan,
    torch_framework,
)
from cutpoint.spec import BackboneSpec, PreprocessSpec


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a torchvision network with the weights torchvision calls DEFAULT.

    The weights file is looked for where torch keeps it (``$TORCH_HOME/hub/checkpoints``) and
    downloaded there by torch itself if it is absent. Preprocessing is that of the weights.
    """
    models = import_torchvision_based("torchvision", f"torchvision:{name}", "torchvision").models
    if name not in models.list_models(module=models):
        raise _unknown(name, models.list_models(module=models))
    weights = models.get_model_weights(name).DEFAULT
    path = _weights_file(name, weights.url)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    known = _preprocess(weights.transforms())
    preprocess = stated_preprocess(options.preprocess or known, f"torchvision:{name}")
    spec = BackboneSpec("torchvision", name, "image", sha256, preprocess)
    stated = weights.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    accuracy = None if stated is None else stated / 100
    return Backbone(
        spec, lambda: _build(models, name, path), torch_framework, source_accuracy=accuracy
    )


def _build(models: Any, name: str, path: Path) -> Any:
    import torch

    network = models.get_model(name, weights=None)
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(stored, strict=True)
    except Exception as error:  # broken, not a plain state dict, or of another network
        raise WeightsError(
            f'Backbone "torchvision:{name}" was asked for.',
            f'"{path}" does not fit it: {" ".join(str(error).split())[:300]}',
            "A state dict with every key of the network and no other.",
            f"Remove the file to have it downloaded anew:  rm {path}",
        ) from error
    refuse_nan(network, f"torchvision:{name}")
    return network


def _weights_file(name: str, url: str) -> Path:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / Path(url).name
    if not path.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), path.stem.rpartition("-")[2])
        except (OSError, RuntimeError) as error:
            raise WeightsError(
                f'The weights of "torchvision:{name}" were asked for.',
                f'They are not at "{path}" and can\'t be downloaded: {error}.',
                "That file, or a network.",
                f"Put the file there yourself:  cp {path.name} {folder}/",
            ) from error
    return path


def _preprocess(transforms: Any) -> PreprocessSpec:
    """Return torchvision's own recipe; pixels there are 0–1, here 0–255."""
    mean = tuple(255 * value for value in transforms.mean)
    std = tuple(255 * value for value in transforms.std)
    return PreprocessSpec(
        resize_px=transforms.resize_size[0],
        crop_px=transforms.crop_size[0],
        interpolation=transforms.interpolation.value,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
    )


def _unknown(name: str, names: list[str]) -> BackboneNotFound:
    nearest = difflib.get_close_matches(name, names, n=3) or names[:3]
    return BackboneNotFound(
        f'Backbone "torchvision:{name}" was asked for.',
        "torchvision has no such classification network.",
        f"Nearest: {', '.join(nearest)}.",
        f"Type, for example:  cutpoint layers torchvision:{nearest[0]}",
    )
