"""``cutpoint choose FEATURES|DATA``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutpoint.base.errors import UsageError
from cutpoint.cli.options import (
    DEFAULT_STRATEGIES,
    Decode,
    EngineName,
    FollowLinks,
    Inputs,
    Json,
    MaxBad,
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
    constants,
    echo,
    pool_list,
    print_json,
    print_recipe,
    print_wrapped,
    tap_list,
)

if TYPE_CHECKING:
    from cutpoint.base.progress import Reporter
    from cutpoint.features.store import Features, FeatureStore
    from cutpoint.items.reading import Dataset
    from cutpoint.learning.choosing import BackboneRanking, Ranking


def choose(
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES|DATA", help="A feature store, or labelled data.")
    ],
    backbone: Annotated[
        list[str] | None,
        typer.Option("--backbone", "-b", help="source:name, or a path; repeat to compare. DATA."),
    ] = None,
    data_set: Annotated[
        str | None,
        typer.Option(
            "--data-set", metavar="NAME", help="Of FEATURES: a name or view, else the newest."
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
    max_bad: MaxBad = 0.01,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layers and pools by training rows that were left out; say what to use."""
    from cutpoint import api
    from cutpoint.base.progress import Reporter
    from cutpoint.features.extraction.quantising import cut_of
    from cutpoint.features.store import FeatureStore
    from cutpoint.items.reading import read_dataset
    from cutpoint.learning.choosing import (
        ChooseOptions,
        check_options,
        measure_speeds,
        rank,
        rank_backbones,
        worth_timing,
    )
    from cutpoint.learning.recipe import parse_recipe
    from cutpoint.products.fitting import check_recipe, default_store, recipe_taps
    from cutpoint.products.report import require_report

    if show_recipe:
        print_recipe(recipe, _variance_lines(recipe, features))
        return
    if similarity != "unknown" and not advise_only:
        raise _only("--similarity", "goes with --advise-only, which measures nothing")
    if advise_only:
        _refuse_idle(
            {
                "--backbone": backbone,
                "--tap": tap,
                "--pool": pool,
                "--preprocess": preprocess,
                "--input": inputs,
                "--decode": decode,
                "--trust-weights": trust_weights,
                "--recipe": recipe,
                "--strategy": strategy,
                "--kind": kind != "classes",
                "--balanced": balanced,
                "--nested": nested,
                "--permute-labels": permute_labels is not None,
                "--plot": plot,
                "--storage": storage != "auto",
                "--store": store,
                "--engine": engine != "auto",
                "--precision": precision != "fp32",
            },
            "--advise-only",
            "It measures nothing, so they would not be followed.",
            "--advise-only with --similarity alone, or without it a ranking.",
        )
        _print_prior(features, data_set, similarity, as_json, quiet)
        return
    strategies = tuple(strategy or DEFAULT_STRATEGIES)
    stages = parse_recipe(recipe)
    options = ChooseOptions(stages, strategies, kind, balanced, nested, permute_labels)
    check_options(options)
    if plot is not None:
        require_report(plot, "A picture of the candidates", ["matplotlib"])
    reporter = Reporter(quiet)
    found = FeatureStore(features)
    if found.exists():
        _refuse_idle(
            {
                "--backbone": backbone,
                "--tap": tap,
                "--pool": pool,
                "--preprocess": preprocess,
                "--input": inputs,
                "--decode": decode,
                "--precision": precision != "fp32",
                "--max-bad": max_bad != 0.01,
                "--follow-links": follow_links,
                "--store": store,
                "--storage": storage != "auto",
                "--engine": engine != "auto",
                "--trust-weights": trust_weights,
            },
            "stored features",
            "They are extracted already, and are what they are.",
            "The data in their place, or FEATURES alone.",
        )
        described = _opened(found, data_set, reporter)
        _print_ranking(rank(described, reporter, options), described, plot, as_json)
        return
    _refuse_data_set(data_set)
    if plot is not None and len(backbone or ()) > 1:
        raise _only("--plot", "draws the layers of one backbone")
    load = partial(
        api.load,
        preprocess=preprocess,
        trust_weights=trust_weights,
        decode=decode,
        inputs=constants(inputs),
    )
    backbones = [load(name) for name in backbone or [api.DEFAULT_BACKBONE]]
    dataset = read_dataset(features, kind=backbones[0].kind)
    _refuse_labels(dataset, kind)
    where = store or default_store()
    rankings, checks = [], {}
    for loaded in backbones:
        taps, pools = recipe_taps(loaded, options.recipe, tap_list(tap), pool_list(pool))
        spec = loaded.feature_spec(taps, pools, storage, precision)
        check_recipe(options.recipe, spec, loaded.layers())
        described = api.extract(
            dataset,
            loaded,
            taps,
            pools,
            where,
            engine=engine,
            precision=precision,
            max_bad=max_bad,
            storage=storage,
            follow_links=follow_links,
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
    from cutpoint.features.store import FeatureStore
    from cutpoint.learning.choosing import variance_lines
    from cutpoint.learning.recipe import parse_recipe

    found = FeatureStore(path)
    return variance_lines(found.open(), parse_recipe(recipe)) if found.exists() else []


def _only(what: str, why: str) -> UsageError:
    return UsageError(
        f"{what} was given.",
        f"It {why}.",
        "The command without what can't be followed.",
        "List the options with:  cutpoint choose --help",
    )


def _refuse_idle(options: Mapping[str, object], beside: str, why: str, would_do: str) -> None:
    """Raise `UsageError` naming the options given that nothing would follow."""
    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(
            f"{', '.join(given)} can't be followed beside {beside}.",
            why,
            would_do,
            f"Leave out {', '.join(given)}",
        )


def _print_comparison(
    compared: BackboneRanking, checks: dict[str, dict[str, Any] | None], as_json: bool
) -> None:
    """Print rankings side by side; `checks` has of each backbone what its precision cost."""
    if as_json:
        print_json({**compared.to_json(), "precision_checks": checks})
        return
    for entry in compared.entries:
        echo("")
        echo(entry.backbone)
        check = checks[entry.backbone]
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


def _refuse_labels(dataset: Dataset, kind: str) -> None:
    """Raise `DataError` now if the training items' labels can't be told as `kind` says."""
    import numpy as np

    from cutpoint.items.reading import has_splits
    from cutpoint.learning.choosing import targets_of

    items = dataset.only("train").items if has_splits(dataset) else dataset.items
    targets_of(dataset.name, np.array([item.label for item in items], object), kind)


def _refuse_data_set(data_set: str | None) -> None:
    if data_set is not None:
        raise _only("--data-set", "goes with stored features, and there are none at that path")


def _opened(store: FeatureStore, data_set: str | None, reporter: Reporter) -> Features:
    """Return one data set of a store; say which, where there are several."""
    taken = store.data_set(data_set)
    features, told = store.open(taken.view), store.told(taken)
    if told and data_set is None:
        reporter.say(f"{told} Take another with:  --data-set NAME")
    return features


def _print_prior(
    data: Path, data_set: str | None, similarity: str, as_json: bool, quiet: bool
) -> None:
    from cutpoint.base.progress import Reporter
    from cutpoint.features.store import FeatureStore
    from cutpoint.items.reading import read_dataset
    from cutpoint.learning.choosing import prior_advice

    found = FeatureStore(data)
    if found.exists():
        items: Features | Dataset = _opened(found, data_set, Reporter(quiet))
    else:
        _refuse_data_set(data_set)
        items = read_dataset(data)
    advice = prior_advice(len(items), len(items.classes), similarity)
    if as_json:
        print_json(advice.to_json())
    else:
        for line in str(advice).split("\n"):
            echo(line)
