"""``torchvision:resnet50``: torchvision's classification networks.

With torchvision's default weights, or with those of a file:
``torchvision:resnet50?weights=FILE``, where FILE holds a state dict, as safetensors or as torch
saves one.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from cutpoint.base.errors import BackboneNotFound, UsageError, WeightsError
from cutpoint.base.spec import BackboneSpec, PreprocessSpec
from cutpoint.base.tongue import layers_of, option
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.files import existing, file_sha256
from cutpoint.networks.sources.torch_files import read_state_dict
from cutpoint.networks.sources.torch_weights import (
    import_torchvision_based,
    refuse_nan,
    torch_framework,
)

# Where torchvision loads the weights of these itself, the network turns its own normalisation of
# the input into the one they were trained with. A stated preprocessing is what they are to see, so
# that it goes without.
_TRANSFORM_INPUT = ("googlenet", "inception_v3")


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a torchvision network with the weights torchvision calls DEFAULT, or those of a file.

    The weights file is looked for where torch keeps it (``$TORCH_HOME/hub/checkpoints``) and
    downloaded there by torch itself if it is absent. Preprocessing is that of the weights; of a
    file that is none of torchvision's, what all of torchvision's weights of that network share, or
    what is stated.
    """
    models = _models(name)
    kind, _, query = name.partition("?")
    if kind not in models.list_models(module=models):
        raise _unknown(kind, models.list_models(module=models))
    if query:
        return _from_file(models, kind, _file_of(query, name), options)
    weights = models.get_model_weights(kind).DEFAULT
    path = _weights_file(kind, weights.url)
    known = _preprocess(weights.transforms())
    preprocess = stated_preprocess(
        options.preprocess or known, f"torchvision:{kind}", side_px=known.crop_px
    )
    transforms = options.preprocess is None
    sha256 = _digest(kind, path, transforms)
    spec = BackboneSpec("torchvision", kind, "image", sha256, preprocess)
    stated = weights.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    accuracy = None if stated is None else stated / 100
    anew = f"Remove the file to have it downloaded anew:  rm {path}"
    return Backbone(
        spec,
        lambda: _filled(models, kind, path, transforms, anew),
        torch_framework,
        source_accuracy=accuracy,
    )


def names() -> list[str]:
    """Return the names of torchvision's classification networks, or raise `MissingExtra`."""
    models = _models("")
    found: list[str] = models.list_models(module=models)
    return found


def _models(name: str) -> Any:
    return import_torchvision_based("torchvision", f"torchvision:{name}", "torchvision").models


def _digest(kind: str, path: Path, transforms: bool) -> str:
    """Return the digest of a file's weights; with the input transform behind it, one of its own.

    Features of those networks were once computed without, under the file's digest.
    """
    sha256 = file_sha256(path)
    if kind not in _TRANSFORM_INPUT or not transforms:
        return sha256
    return hashlib.sha256(f"{sha256} transform_input".encode()).hexdigest()


def _file_of(query: str, name: str) -> Path:
    key, _, value = query.partition("=")
    if key != "weights" or not value or "&" in query:
        raise UsageError(
            f'"{query}" is no argument of backbone "torchvision:{name.partition("?")[0]}".',
            "Its one argument is weights.",
            "weights, the path of a state dict.",
            f'Type, for example:  "torchvision:{name.partition("?")[0]}?weights=FILE.pth"',
        )
    what = "Weights are a .pth, .pt or .safetensors file with a state dict"
    return existing(unquote(value), "torchvision", what).resolve()


def _from_file(models: Any, kind: str, path: Path, options: LoadOptions) -> Backbone:
    """Return the network with the weights of a file, which may be of other classes."""
    what = f"torchvision:{kind}?weights={quote(path.name)}"
    known, own = _known_preprocess(models, kind, path)
    if known is None and options.preprocess is None:
        raise _which_preprocess(what, own)
    sides = {spec.crop_px for spec in own.values()}
    preprocess = stated_preprocess(
        options.preprocess or known, what, side_px=sides.pop() if len(sides) == 1 else None
    )
    transforms = options.preprocess is None
    look = f"Look at its keys with:  torch.load({str(path)!r}, weights_only=True).keys()"
    network = _filled(models, kind, path, transforms, look)
    sha256 = _digest(kind, path, transforms)
    spec = BackboneSpec("torchvision", what.partition(":")[2], "image", sha256, preprocess)
    load_name = f"torchvision:{kind}?weights={quote(str(path))}"
    return Backbone(spec, lambda: network, torch_framework, load_name)


def _known_preprocess(
    models: Any, kind: str, path: Path
) -> tuple[PreprocessSpec | None, dict[str, PreprocessSpec]]:
    """Return how a file's weights were fed, if that can be known, and torchvision's own recipes.

    torchvision's files are known by the digest that their names end with.
    """
    versions = list(models.get_model_weights(kind))
    own = {each.name: _preprocess(each.transforms()) for each in versions}
    sha256 = file_sha256(path)
    for each in versions:
        if sha256.startswith(Path(each.url).stem.rpartition("-")[2]):
            return own[each.name], own
    recipes = set(own.values())
    return (recipes.pop() if len(recipes) == 1 else None), own


def _which_preprocess(what: str, own: Mapping[str, PreprocessSpec]) -> UsageError:
    told = "; ".join(
        f"{name}: shorter side {spec.resize_px}, crop {spec.crop_px}, {spec.interpolation}"
        for name, spec in own.items()
    )
    first = next(iter(own.values()))
    side = first.crop_px
    return UsageError(
        f'How the weights of backbone "{what}" were fed in training is not known.',
        "torchvision's own weights of that network were fed in "
        f"{len(set(own.values()))} ways. {told}.",
        "A recipe, or a JSON file with resize_px, crop_px, interpolation, mean and std.",
        f"Type, for example:  {option('preprocess', f'imagenet({side})')}",
    )


def _filled(models: Any, kind: str, path: Path, transforms: bool, type_next: str) -> Any:
    """Return the network with a file's weights, its classifier as large as theirs."""
    network = _network(models, kind, transforms)
    try:
        stored = read_state_dict(path)
        n_classes = _n_classes(stored, network)
        if n_classes is not None:
            network = _network(models, kind, transforms, num_classes=n_classes)
        network.load_state_dict(stored, strict=True)
    except Exception as error:  # broken, not a plain state dict, or of another network
        raise WeightsError(
            f'"{path}" does not fit backbone "torchvision:{kind}".',
            f"Why: {' '.join(str(error).split())[:300]}",
            "A state dict with every key of the network and no other.",
            type_next,
        ) from error
    refuse_nan(network, f"torchvision:{kind}")
    return network


def _n_classes(stored: Mapping[str, Any], network: Any) -> int | None:
    """Return how many classes weights have, if that differs from the network's own number."""
    own = network.state_dict()
    last = list(own)[-1]  # of all torchvision's networks, the bias of the classifier
    shape = getattr(stored.get(last), "shape", own[last].shape)
    return int(shape[0]) if len(shape) == 1 and shape != own[last].shape else None


def _network(models: Any, kind: str, transforms: bool, **arguments: Any) -> Any:
    if kind in _TRANSFORM_INPUT:
        arguments |= {"transform_input": transforms, "init_weights": False}
    return models.get_model(kind, weights=None, **arguments)


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
                f'The weights of "torchvision:{name}" can\'t be downloaded: {error}.',
                f'They are not at "{path}".',
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
        f'No backbone "torchvision:{name}".',
        "torchvision has no such classification network.",
        f"Nearest: {', '.join(nearest)}.",
        f"Type, for example:  {layers_of(f'torchvision:{nearest[0]}')}",
    )
