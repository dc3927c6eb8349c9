"""Photos and other pictures; what `contracts.Kind` names, from one file each."""

from cutpoint.base.spec import PreprocessSpec
from cutpoint.items.kinds.image.defaults import DEFAULTS
from cutpoint.items.kinds.image.graph import in_graph
from cutpoint.items.kinds.image.prepare import (
    decode_image,
    decodes_smaller,
    decoding,
    prepare_image,
    prepare_item,
)
from cutpoint.items.kinds.image.read import (
    COLUMNS,
    ITEMS,
    NAME,
    NOUN,
    SUFFIXES,
    digest,
    payload_of,
    refuse_one,
)
from cutpoint.items.kinds.image.recipes import RECIPES, recipe_named
from cutpoint.items.kinds.image.resize import fit_to_recipe
from cutpoint.items.kinds.image.show import picture, wanted
from cutpoint.items.kinds.image.views import viewed

spec_from_json = PreprocessSpec.from_json

__all__ = [
    "COLUMNS",
    "DEFAULTS",
    "ITEMS",
    "NAME",
    "NOUN",
    "RECIPES",
    "SUFFIXES",
    "decode_image",
    "decodes_smaller",
    "decoding",
    "digest",
    "fit_to_recipe",
    "in_graph",
    "payload_of",
    "picture",
    "prepare_image",
    "prepare_item",
    "recipe_named",
    "refuse_one",
    "spec_from_json",
    "viewed",
    "wanted",
]
