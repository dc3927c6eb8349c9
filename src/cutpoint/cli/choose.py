"""``cutpoint choose FEATURES|DATA``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutpoint.base.errors import UsageError
from cutpoint.cli.column_options import OF_DATA, with_columns
from cutpoint.cli.options import (
    DEFAULT_STRATEGIES,
    Decode,
    EngineName,
    FollowLinks,
    Inputs,
    Json,
    KindName,
    MaxBad,
    Pools,
    Precision,
    PreprocessName,
    PrintRecipe,
    Quiet,
    RecipeText,
    Seed,
    Storage,
    Store,
    Strategies,
    Taps,
    TrustWeights,
    Workers,
    constants,
    echo,
    pool_list,
    print_json,
    print_recipe,
    print_wrapped,
    tap_list,
    typed_options,
)
from cutpoint.cli.reading_options import with_reading

if TYPE_CHECKING:
    from cutpoint.features.store import Features
    from cutpoint.items.reading import Dataset
    from cutpoint.learning.choosing import BackboneRanking, Ranking
    from cutpoint.networks.backbone import Backbone

# What stored features are ranked by; the rest is for what is still to be computed.
FOLLOWED = (
    *("features", "recipe", "strategy", "kind", "balanced", "nested", "permute_labels"),
    *("plot", "as_json", "quiet"),
)
BESIDE_STORED = (
    "stored features",
    "They were computed before, with options of their own.",
    "The data in their place, or FEATURES alone.",
)


@with_reading
@with_columns(OF_DATA)
def choose(
    context: typer.Context,
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES|DATA", help="A feature store, or labelled data.")
    ],
    columns: dict[str, str],
    reading: dict[str, Any],
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="source:name, or a path; repeat to compare. DATA."),
    ] = None,
    data_set: Annotated[
        str | None,
        typer.Option(
            "--data-set",
            metavar="NAME",
            help="Which one in FEATURES: name or view; else the newest.",
        ),
    ] = None,
    preprocess: PreprocessName = None,
    inputs: Inputs = None,
    trust_weights: TrustWeights = False,
    decode: Decode = None,
    tap: Taps = None,
    pool: Pools = None,
    recipe: RecipeText = "",
    show_recipe: PrintRecipe = False,
    strategy: Strategies = None,
    kind: KindName = "auto",
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
        str,
        typer.Option("--similarity", help="The task beside the network's own: near, far, unknown."),
    ] = "unknown",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.svg", help="Write the picture there.")
    ] = None,
    storage: Storage = "auto",
    store: Store = None,
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
    max_bad: MaxBad = 0.01,
    seed: Seed = 0,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layers and pools by training rows that were left out; say what to use."""
    from cutpoint import api
    from cutpoint.items.reading import Columns
    from cutpoint.products.report import require_report

    if show_recipe:
        print_recipe(recipe, _variance_lines(recipe, features))
        return
    said: dict[str, Any] = {
        "preprocess": preprocess,
        "trust_weights": trust_weights,
        "decode": decode,
        "inputs": constants(inputs),
        **reading,
    }
    load: Callable[..., Backbone] = partial(api.load, **said)
    if similarity != "unknown" and not advise_only:
        raise _only("--similarity", "goes with --advise-only, which measures nothing")
    if advise_only:
        _refuse_idle(
            typed_options(
                context,
                *("features", "advise_only", "similarity", "data_set", "as_json", "quiet"),
                *("backbone", "preprocess", "inputs", "trust_weights"),
                *OF_DATA,
            ),
            "--advise-only",
            "It measures nothing, so they would not be followed.",
            "--advise-only with --similarity and what says how the data is read; or a ranking.",
        )
        items = _items_to_advise_on(features, data_set, quiet, columns, backbone, load)
        _print_prior(items, similarity, as_json)
        return
    if plot is not None:
        require_report(plot, "A picture of the candidates", ["matplotlib"])
        if len(backbone or ()) > 1:
            raise _only("--plot", "draws the layers of one backbone")
    asked: dict[str, Any] = {
        "recipe": recipe,
        "strategy": strategy or DEFAULT_STRATEGIES,
        "kind": kind,
        "taps": tap_list(tap),
        "pool": pool_list(pool),
        "store": store,
        "balanced": balanced,
        "nested": nested,
        "permute_labels": permute_labels,
        "engine": engine,
        "precision": precision,
        "n_workers": workers,
        "max_bad": max_bad,
        "seed": seed,
        "storage": storage,
        "follow_links": follow_links,
        "quiet": quiet,
    }
    if api.is_stored(features):
        _refuse_idle(typed_options(context, *FOLLOWED, "data_set"), *BESIDE_STORED)
        described = api.stored_features(features, data_set, quiet)
        _print_ranking(api.choose(described, **asked), described, plot, as_json)
        return
    splits = columns.pop("splits", None)
    names = backbone or [api.default_backbone(features, Columns.of("choose", columns))]
    loaded = [load(name) for name in names]
    compared = api.choose(
        features, backbones=loaded, data_set=data_set, splits=splits, **asked, **columns
    )
    if len(compared.entries) > 1:
        _print_comparison(compared, as_json)
        return
    (only,) = compared.entries
    _print_ranking(only.ranking, only.features, plot, as_json)


def _variance_lines(recipe: str, path: Path) -> list[str]:
    """Return what PCA keeps of the variance, fitted on the training rows of stored features."""
    from cutpoint.features.store import FeatureStore
    from cutpoint.learning.choosing import variance_lines
    from cutpoint.learning.recipe import parse_recipe

    found = FeatureStore(path)
    return variance_lines(found.open(), parse_recipe(recipe)) if found.exists() else []


def _only(what: str, why: str) -> UsageError:
    return UsageError(
        f"{what} {why}.",
        "So nothing would follow it.",
        "The command without what can't be followed.",
        "List the options with:  cutpoint choose --help",
    )


def _refuse_idle(given: list[str], beside: str, why: str, would_do: str) -> None:
    """Raise `UsageError` naming the options given that nothing would follow."""
    if given:
        raise UsageError(
            f"{', '.join(given)} can't be followed beside {beside}.",
            why,
            would_do,
            f"Leave out {', '.join(given)}",
        )


def _print_comparison(compared: BackboneRanking, as_json: bool) -> None:
    """Print rankings side by side."""
    if as_json:
        checks = {each.backbone: each.features.precision_check for each in compared.entries}
        print_json({**compared.to_json(), "precision_checks": checks})
        return
    for entry in compared.entries:
        echo("")
        echo(entry.backbone)
        check = entry.features.precision_check
        if check is not None:
            print_wrapped(check["text"])
        for line in entry.ranking.lines(4):
            echo(line)
        print_wrapped(entry.ranking.verdict())
    for line in f"\n{compared}".split("\n"):
        echo(line)


def _print_ranking(ranking: Ranking, features: Features, plot: Path | None, as_json: bool) -> None:
    from cutpoint.learning.choosing import advise, draw

    advice = advise(ranking, len(features.classes))
    if plot is not None:
        from cutpoint.products.report import write_choice_plot

        write_choice_plot(ranking, plot)
    if as_json:
        facts = {"data_set": features.name, "precision_check": features.precision_check}
        print_json({**ranking.to_json(), **facts, "advice": advice})
        return
    print_wrapped(f"{features.name}: {features.spec.backbone.id}")
    print_wrapped(ranking.headline())
    if features.precision_check is not None:
        print_wrapped(features.precision_check["text"])
    for line in [*ranking.lines(), "", *draw(ranking), ""]:
        echo(line)
    print_wrapped(ranking.details())
    print_wrapped(advice)
    if plot is not None:
        echo(f"Picture: {plot}")


def _refuse_data_set(data_set: str | None) -> None:
    if data_set is not None:
        raise _only("--data-set", "goes with stored features, and there are none at that path")


def _items_to_advise_on(
    data: Path,
    data_set: str | None,
    quiet: bool,
    columns: dict[str, str],
    backbone: list[str] | None,
    load: Callable[[str], Backbone],
) -> Features | Dataset:
    """Return stored features, or the items of data as the backbone or the data says their kind."""
    from cutpoint import api
    from cutpoint.items.reading import Columns, kind_of, read_dataset

    if api.is_stored(data):
        if backbone or columns:
            raise _only("--backbone", "goes with data, and these are stored features")
        return api.stored_features(data, data_set, quiet)
    _refuse_data_set(data_set)
    splits = columns.pop("splits", None)
    named = Columns.of("choose", columns)
    kind = load(backbone[0]).kind if backbone else kind_of(data, named)
    return read_dataset(data, splits=splits, kind=kind, columns=named)


def _print_prior(items: Features | Dataset, similarity: str, as_json: bool) -> None:
    from cutpoint.learning.choosing import prior_advice

    advice = prior_advice(len(items), len(items.classes), similarity)
    if as_json:
        print_json(advice.to_json())
    else:
        for line in str(advice).split("\n"):
            echo(line)
