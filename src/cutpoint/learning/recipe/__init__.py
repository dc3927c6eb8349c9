"""What happens between taps and a head: spelled in one line, fitted on training rows, saved."""

from cutpoint.learning.recipe.chain import Chain, chain_of
from cutpoint.learning.recipe.fit import STREAM_BYTES, fit_recipe
from cutpoint.learning.recipe.fitted import FittedRecipe
from cutpoint.learning.recipe.spelling import (
    AGGREGATES,
    LEARNED_POOLS,
    NAMED,
    STAGES,
    Recipe,
    Stage,
    as_recipe,
    parse_recipe,
)
from cutpoint.learning.recipe.widths import check_widths

__all__ = [
    "AGGREGATES",
    "LEARNED_POOLS",
    "NAMED",
    "STAGES",
    "STREAM_BYTES",
    "Chain",
    "FittedRecipe",
    "Recipe",
    "Stage",
    "as_recipe",
    "chain_of",
    "check_widths",
    "fit_recipe",
    "parse_recipe",
]
