"""``cutpoint choose FEATURES|DATA``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutpoint.cli.options import (
    DEFAULT_STRATEGIES,
    Decode,
    EngineName,
    Json,
    Pools,
    Precision,
    PreprocessName,
    PrintRecipe,
    Quiet,
    RecipeText,
    Storage,
    Store,
    Strategies,
    Taps,
    TrustWeights,
    pool_list,
    print_json,
    print_recipe,
    print_wrapped,
    tap_list,
)
from cutpoint.errors import UsageError

if TYPE_CHECKING:
    from cutpoint.choosing import BackboneRanking, Ranking
    from cutpoint.store import Features

DEFAULT_BACKBONE = "packaged:efficientnet_lite0"


def choose(
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES|DATA", help="A feature store, or labelled data.")
    ],
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="source:name, or a path; repeat to compare. DATA."),
    ] = None,
    preprocess: PreprocessName = None,
    trust_weights: TrustWeights = False,
    decode: Decode = None,
    tap: Taps = None,
    pool: Pools = None,
    recipe: RecipeText = "",
    show_recipe: PrintRecipe = False,
    strategy: Strategies = None,
    kind: Annotated[
        str, typer.Option("--kind", help='What labels are: classes, labels ("a;b") or values.')
    ] = "classes",
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Weigh rows so that classes count the same.")
    ] = False,
    nested: Annotated[
        bool, typer.Option("--nested", help="Judge the whole choice on rows left out of it, too.")
    ] = False,
    permute_labels: Annotated[
        int | None,
        typer.Option("--permute-labels", metavar="SEED", min=0, help="Shuffle labels: a check."),
    ] = None,
    advise_only: Annotated[
        bool, typer.Option("--advise-only", help="Say what is known beforehand; measure nothing.")
    ] = False,
    similarity: Annotated[
        str, typer.Option("--similarity", help="Of the task to the network's: near, far, unknown.")
    ] = "unknown",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Write the picture there.")
    ] = None,
    storage: Storage = "auto",
    store: Store = None,
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layers and pools by training rows that were left out; say what to use."""
    from cutpoint import api
    from cutpoint.choosing import (
        ChooseOptions,
        measure_speeds,
        rank,
        rank_backbones,
        worth_timing,
    )
    from cutpoint.extraction.quantising import cut_of
    from cutpoint.fitting import check_recipe, default_store, recipe_taps
    from cutpoint.progress import Reporter
    from cutpoint.recipe import parse_recipe
    from cutpoint.store import FeatureStore

    if show_recipe:
        print_recipe(recipe, _variance_lines(recipe, features))
        return
    if similarity != "unknown" and not advise_only:
        raise _only("--similarity", "goes with --advise-only, which measures nothing")
    if advise_only:
        _print_prior(features, similarity, as_json)
        return
    strategies = tuple(strategy or DEFAULT_STRATEGIES)
    stages = parse_recipe(recipe)
    options = ChooseOptions(stages, strategies, kind, balanced, nested, permute_labels)
    reporter = Reporter(quiet)
    found = FeatureStore(features)
    if found.exists():
        _refuse_settled(
            {
                "--backbone": backbone,
                "--tap": tap,
                "--pool": pool,
                "--preprocess": preprocess,
                "--decode": decode,
                "--precision": precision != "fp32",
                "--store": store,
            }
        )
        described = found.open()
        _print_ranking(rank(described, reporter, options), described, plot, as_json)
        return
    if plot is not None and len(backbone or ()) > 1:
        raise _only("--plot", "draws the layers of one backbone")
    where = store or default_store()
    rankings, checks = [], {}
    for name in backbone or [DEFAULT_BACKBONE]:
        loaded = api.load(name, preprocess, trust_weights=trust_weights, decode=decode)
        taps, pools = recipe_taps(loaded, options.recipe, tap_list(tap), pool_list(pool))
        spec = loaded.feature_spec(taps, pools, storage, precision)
        check_recipe(options.recipe, spec, loaded.layers())
        described = api.extract(
            features,
            loaded,
            taps,
            pools,
            where,
            engine=engine,
            precision=precision,
            storage=storage,
            quiet=quiet,
        )
        checks[loaded.spec.id] = described.precision_check
        ranking = rank(described, reporter, options)
        cut_at = partial(cut_of, loaded, described.spec, FeatureStore(where))
        speeds = measure_speeds(cut_at, worth_timing(ranking), engine, precision, reporter)
        rankings.append((loaded, replace(ranking, items_per_s=speeds)))
    if len(rankings) == 1:
        _print_ranking(rankings[0][1], described, plot, as_json)
        return
    _print_comparison(rank_backbones(rankings), checks, as_json)


def _variance_lines(recipe: str, path: Path) -> list[str]:
    """Return what PCA keeps of the variance, fitted on the training rows of stored features."""
    from cutpoint.choosing import variance_lines
    from cutpoint.recipe import parse_recipe
    from cutpoint.store import FeatureStore

    found = FeatureStore(path)
    return variance_lines(found.open(), parse_recipe(recipe)) if found.exists() else []


def _only(what: str, why: str) -> UsageError:
    return UsageError(
        f"{what} was given.",
        f"It {why}.",
        "The command without what can't be followed.",
        "List the options with:  cutpoint choose --help",
    )


def _refuse_settled(options: Mapping[str, object]) -> None:
    """Raise `UsageError` naming the options given that stored features have behind them."""
    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(
            f"Stored features were given, and {', '.join(given)}.",
            "They are extracted already, and are what they are.",
            "The data in their place, or FEATURES alone.",
            "List the options with:  cutpoint choose --help",
        )


def _print_comparison(
    compared: BackboneRanking, checks: dict[str, dict[str, Any] | None], as_json: bool
) -> None:
    """Print rankings side by side; `checks` has of each backbone what its precision cost."""
    if as_json:
        print_json({**compared.to_json(), "precision_checks": checks})
        return
    for entry in compared.entries:
        typer.echo(f"\n{entry.backbone}")
        check = checks[entry.backbone]
        if check is not None:
            print_wrapped(check["text"])
        for line in entry.ranking.lines(4):
            typer.echo(line)
        print_wrapped(entry.ranking.verdict())
    typer.echo(f"\n{compared}")


def _print_ranking(ranking: Ranking, features: Features, plot: Path | None, as_json: bool) -> None:
    from cutpoint.choosing import advise, draw

    advice = advise(ranking, len(features.classes))
    if plot is not None:
        from cutpoint.report import write_choice_plot

        write_choice_plot(ranking, plot)
    if as_json:
        precision = {"precision_check": features.precision_check}
        print_json({**ranking.to_json(), **precision, "advice": advice})
        return
    print_wrapped(f"{features.name}: {features.spec.backbone.id}")
    if features.precision_check is not None:
        print_wrapped(features.precision_check["text"])
    for line in [*ranking.lines(), "", *draw(ranking), ""]:
        typer.echo(line)
    print_wrapped(ranking.verdict())
    print_wrapped(advice)
    if plot is not None:
        typer.echo(f"Picture: {plot}")


def _print_prior(data: Path, similarity: str, as_json: bool) -> None:
    from cutpoint.choosing import prior_advice
    from cutpoint.data import read_dataset
    from cutpoint.store import FeatureStore

    found = FeatureStore(data)
    items = found.open() if found.exists() else read_dataset(data)
    advice = prior_advice(len(items), len(items.classes), similarity)
    if as_json:
        print_json(advice.to_json())
    else:
        typer.echo(str(advice))
