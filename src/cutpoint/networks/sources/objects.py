"""A network the user already has: an ``nn.Module`` or a ``keras.Model``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from cutpoint.base.errors import ModalityError
from cutpoint.base.spec import BackboneSpec, Preprocess
from cutpoint.items.kinds import stated_preprocess, unstated
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.constants import Value
from cutpoint.networks.sources.torch_weights import (
    refuse_nan,
    state_sha256,
    torch_framework,
    trained_side,
    weights_shape,
)


def load_object(
    network: Any,
    preprocess: str | Preprocess | None,
    name: str = "",
    inputs: Mapping[str, Value] | None = None,
) -> Backbone:
    """Return a backbone around a network. It is left as it is.

    Parameters
    ----------
    network : nn.Module or keras.Model
        A module takes float images (n_items, 3, height, width), or what `preprocess` gives.
    preprocess : str, PreprocessSpec or ArraySpec
        How its weights were fed in training. Never guessed.
    name : str, optional
        How it is called in messages; the class by default.
    inputs : mapping of name → constant, optional
        For inputs that carry no data.
    """
    options = LoadOptions(preprocess, inputs=inputs)
    name = name or type(network).__name__
    if _is_a(network, "keras", "Model"):  # asked first: on PyTorch it is an nn.Module as well
        from cutpoint.networks.sources.keras_networks import keras_backbone, weights_sha256

        return keras_backbone(network, "object", name, weights_sha256(network), options)
    if not _is_a(network, "torch", "nn.Module"):
        raise ModalityError(
            f"A {type(network).__module__}.{type(network).__name__} is no backbone.",
            "A backbone is a network, or names one.",
            "A name, a path, an nn.Module or a keras.Model.",
            'Type, for example:  cp.load("packaged:efficientnet_lite0")',
        )
    if preprocess is None:
        raise unstated(name, weights_shape(dict(network.named_parameters())))
    recipe = stated_preprocess(preprocess, name, side_px=trained_side(network))
    refuse_nan(network, name)
    sha256 = state_sha256(network)
    spec = BackboneSpec("object", name, recipe.kind, sha256, recipe, options.constants)
    return Backbone(spec, lambda: network, torch_framework, is_shared=True)


def _is_a(network: Any, package: str, kind: str) -> bool:
    """Say whether `network` is of that class, without importing its framework."""
    found: Any = sys.modules.get(package)
    for part in kind.split("."):
        found = getattr(found, part, None)
    return found is not None and isinstance(network, found)
