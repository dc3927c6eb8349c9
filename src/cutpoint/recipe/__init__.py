"""What happens between taps and a head: spelled in one line, fitted on training rows, saved."""

from cutpoint.recipe.fit import STREAM_BYTES, fit_recipe
from cutpoint.recipe.fitted import FittedRecipe
from cutpoint.recipe.spelling import AGGREGATES, NAMED, Recipe, Stage, parse_recipe

__all__ = [
    "AGGREGATES",
    "NAMED",
    "STREAM_BYTES",
    "FittedRecipe",
    "Recipe",
    "Stage",
    "fit_recipe",
    "parse_recipe",
]
