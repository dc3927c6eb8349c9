"""Item → the array the weights were trained on; one file per modality."""

from cutpoint.items.preprocess.arrays import prepare_array
from cutpoint.items.preprocess.image import decode_image, decodes_smaller, prepare_image
from cutpoint.items.preprocess.item import prepare_item
from cutpoint.items.preprocess.recipes import (
    RECIPES,
    modality_of,
    read_preprocess,
    recipe_named,
    stated_preprocess,
    unstated,
)
from cutpoint.items.preprocess.resize import fit_to_recipe

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
