"""A network the user already has: any ``nn.Module``, with its preprocessing stated."""

from __future__ import annotations

from typing import Any

from cutpoint.backbone import Backbone
from cutpoint.errors import UsageError
from cutpoint.sources.torch_weights import refuse_nan, state_sha256, torch_framework
from cutpoint.spec import BackboneSpec, PreprocessSpec

_IMAGENET = tuple(255 * value for value in (0.485, 0.456, 0.406))
_IMAGENET_STD = tuple(255 * value for value in (0.229, 0.224, 0.225))

# Named recipes; "imagenet" is torchvision's, "tf" that of TensorFlow's mobile networks.
RECIPES = {
    "imagenet": PreprocessSpec(
        256,
        224,
        "bilinear",
        (_IMAGENET[0], _IMAGENET[1], _IMAGENET[2]),
        (_IMAGENET_STD[0], _IMAGENET_STD[1], _IMAGENET_STD[2]),
    ),
    "tf": PreprocessSpec(256, 224, "bilinear", (127.5,) * 3, (127.5,) * 3),
    "none": PreprocessSpec(256, 224, "bilinear", (0.0,) * 3, (1.0,) * 3),
}


def load_module(network: Any, preprocess: str | PreprocessSpec | None, name: str = "") -> Backbone:
    """Return a backbone around a network.

    Parameters
    ----------
    network : nn.Module
        Takes float images (n_items, 3, height, width). Left as it is.
    preprocess : {"imagenet", "tf", "none"} or PreprocessSpec
        How its weights were fed in training. Never guessed.
    name : str, optional
        How it is called in messages; the class by default.
    """
    name = name or type(network).__name__
    if preprocess is None:
        raise UsageError(
            f'A backbone of the module "{name}" was asked for.',
            "How its weights were fed in training is not known, and a guess would be silent.",
            f"One of {', '.join(RECIPES)}, or a PreprocessSpec.",
            'Type, for example:  cp.load(network, preprocess="imagenet")',
        )
    refuse_nan(network, name)
    recipe = recipe_named(preprocess) if isinstance(preprocess, str) else preprocess
    spec = BackboneSpec("object", name, "image", state_sha256(network), recipe)
    return Backbone(spec, lambda: network, torch_framework)


def recipe_named(name: str) -> PreprocessSpec:
    """Return a named recipe."""
    if name not in RECIPES:
        raise UsageError(
            f'Preprocessing "{name}" was asked for.',
            "There is no recipe of that name.",
            f"Recipes: {', '.join(RECIPES)}; or a PreprocessSpec of your own.",
            'Type, for example:  preprocess="imagenet"',
        )
    return RECIPES[name]
