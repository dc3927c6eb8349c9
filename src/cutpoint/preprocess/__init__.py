"""Item → the array the weights were trained on; one file per modality."""

from cutpoint.preprocess.arrays import prepare_array
from cutpoint.preprocess.image import decode_image, decodes_smaller, prepare_image
from cutpoint.preprocess.item import prepare_item
from cutpoint.preprocess.recipes import (
    RECIPES,
    modality_of,
    read_preprocess,
    recipe_named,
    stated_preprocess,
    unstated,
)
from cutpoint.preprocess.resize import fit_to_recipe

__all__ = [
    "RECIPES",
    "decode_image",
    "decodes_smaller",
    "fit_to_recipe",
    "modality_of",
    "prepare_array",
    "prepare_image",
    "prepare_item",
    "read_preprocess",
    "recipe_named",
    "stated_preprocess",
    "unstated",
]
