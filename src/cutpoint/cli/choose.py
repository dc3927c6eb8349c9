"""``cutpoint choose FEATURES|DATA``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli.options import (
    Json,
    Pools,
    PreprocessName,
    PrintRecipe,
    Quiet,
    RecipeText,
    Storage,
    Store,
    Taps,
    TrustWeights,
    pool_list,
    print_json,
    print_recipe,
    tap_list,
)


def choose(
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES|DATA", help="A feature store, or labelled data.")
    ],
    backbone: Annotated[
        str, typer.Option("--backbone", "-b", help="source:name, or a path; for DATA.")
    ] = "packaged:efficientnet_lite0",
    preprocess: PreprocessName = None,
    trust_weights: TrustWeights = False,
    tap: Taps = None,
    pool: Pools = None,
    recipe: RecipeText = "",
    show_recipe: PrintRecipe = False,
    storage: Storage = "auto",
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layer × pooling by accuracy on training rows that were left out."""
    from cutpoint import api
    from cutpoint.fitting import recipe_taps
    from cutpoint.recipe import parse_recipe
    from cutpoint.store import FeatureStore

    if show_recipe:
        print_recipe(recipe)
        return
    stages = parse_recipe(recipe)
    found = FeatureStore(features)
    if found.exists():
        described = found.open()
    else:
        loaded = api.load(backbone, preprocess, trust_weights=trust_weights)
        taps, pools = recipe_taps(loaded, stages, tap_list(tap), pool_list(pool))
        described = api.extract(features, loaded, taps, pools, store, storage=storage, quiet=quiet)
    ranking = api.choose(described, stages, quiet=quiet)
    if as_json:
        print_json(ranking.to_json())
    else:
        typer.echo(str(ranking))
