"""Images' recipes by name: what the weights saw in training."""

from __future__ import annotations

import re
from dataclasses import replace

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.tongue import option

_IMAGENET_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
_IMAGENET_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR, keras.applications.imagenet_utils, mode "caffe"

# Shorter side to 256, central 224: the evaluation crop of ImageNet classifiers since AlexNet.
RECIPES = {
    "imagenet": PreprocessSpec(256, 224, "bilinear", _IMAGENET_MEAN, _IMAGENET_STD),
    "tf": PreprocessSpec(256, 224, "bilinear", (127.5,) * 3, (127.5,) * 3),
    "caffe": PreprocessSpec(256, 224, "bilinear", _CAFFE_MEAN, (1.0,) * 3, channels="BGR"),
    "unit": PreprocessSpec(256, 224, "bilinear", (0.0,) * 3, (255.0,) * 3),
    "none": PreprocessSpec(256, 224, "bilinear", (0.0,) * 3, (1.0,) * 3),
}
"""What the network sees: ``imagenet`` (x/255 − mean)/std RGB, ``tf`` −1 to 1, ``caffe`` BGR minus
mean, ``unit`` 0 to 1, ``none`` 0 to 255."""


_SIDED = re.compile(r"(\w+)\((\d+)\)")
MOST_PX = 8192  # a side beyond is a slip of the finger: one item would take 200 MB


def recipe_named(name: str, side_px: int = 224) -> PreprocessSpec:
    """Return a named recipe, ``"imagenet"`` or with a side in pixels ``"imagenet(32)"``.

    Parameters
    ----------
    side_px : int
        Side of the squares the network sees, where `name` does not say.
    """
    sided = _SIDED.fullmatch(name.replace(" ", ""))
    kind, side_px = (sided[1], int(sided[2])) if sided else (name, side_px)
    if kind not in RECIPES or not 1 <= side_px <= MOST_PX:
        is_known = kind in RECIPES
        raise UsageError(
            f'No preprocessing "{name}".',
            f"A side of {side_px} pixels is none a network sees."
            if is_known
            else "There is no recipe of that name, and no file.",
            f"Recipes: {', '.join(RECIPES)}, with a side of 1 to {MOST_PX} pixels if it is not the "
            "network's own; or a JSON file with the fields of PreprocessSpec.",
            f"Type, for example:  {option('preprocess', 'imagenet')}   or   "
            f"{option('preprocess', 'imagenet(32)')}",
        )
    return replace(RECIPES[kind], resize_px=round(side_px * 256 / 224), crop_px=side_px)
