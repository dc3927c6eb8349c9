"""``cutpoint fit DATA [-o MODEL]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cutpoint.base.progress import Reporter
from cutpoint.cli.column_options import OF_DATA, with_columns
from cutpoint.cli.options import (
    DEFAULT_STRATEGIES,
    BackboneName,
    DataArgument,
    Decode,
    EngineName,
    FollowLinks,
    Heads,
    Inputs,
    Json,
    KindName,
    MaxBad,
    Pools,
    Precision,
    PreprocessName,
    PrintRecipe,
    ProtocolName,
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
    tell_warnings,
)
from cutpoint.cli.reading_options import with_reading

N_SHOWN = 6  # candidates printed; the report has all


@with_reading
@with_columns(OF_DATA)
def fit(
    data: DataArgument,
    columns: dict[str, str],
    reading: dict[str, Any],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the predictor. Default: DATA.cutpoint.",
        ),
    ] = None,
    backbone: BackboneName = "",
    preprocess: PreprocessName = None,
    inputs: Inputs = None,
    trust_weights: TrustWeights = False,
    decode: Decode = None,
    tap: Taps = None,
    pool: Pools = None,
    recipe: RecipeText = "",
    show_recipe: PrintRecipe = False,
    head: Heads = None,
    protocol: ProtocolName = "",
    kind: KindName = "auto",
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            "--unlabelled", metavar="DATA", help="More items: kept in the store, not learned from."
        ),
    ] = None,
    storage: Storage = "auto",
    strategy: Strategies = None,
    store: Store = None,
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
    max_bad: MaxBad = 0.01,
    seed: Seed = 0,
    allow_group_overlap: Annotated[
        bool, typer.Option("--allow-group-overlap", help="Go on though a group straddles splits.")
    ] = False,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Extract, choose on training rows, fit the head, score the test split once."""
    from cutpoint.api import default_backbone, load
    from cutpoint.features.extraction.bad_rows import BAD_ROWS
    from cutpoint.features.extraction.request import Request
    from cutpoint.items.reading import Columns, read_dataset, with_unlabelled
    from cutpoint.learning.choosing import advise
    from cutpoint.products.fitting import REPORT, FitOptions, check_output, run_fit

    output = output or beside(Path(data))
    if show_recipe:
        print_recipe(recipe, fitted_lines(recipe, output))
        return
    splits = columns.pop("splits", "")
    named = Columns.of("fit", columns)
    request = Request.of(
        tap_list(tap),
        pool_list(pool),
        store,
        engine=engine,
        precision=precision,
        n_workers=workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    options = FitOptions.of(
        request,
        recipe,
        strategy or DEFAULT_STRATEGIES,
        head,
        protocol,
        kind,
        allow_group_overlap=allow_group_overlap,
        unlabelled="" if unlabelled is None else str(unlabelled),
        columns=named,
        splits=splits,
    )
    check_output(output)
    found = load(
        backbone or default_backbone(data, named),
        preprocess,
        trust_weights=trust_weights,
        decode=decode,
        inputs=constants(inputs),
        **reading,
    )
    reporter = Reporter(quiet)
    dataset = read_dataset(
        data, splits=splits or None, follow_links=follow_links, kind=found.kind, columns=named
    )
    dataset = with_unlabelled(dataset, unlabelled, reporter.say, named)
    result = run_fit(dataset, found, options, output, reporter)
    report = output / REPORT
    tell_warnings(result.features.warnings, quiet)
    if as_json:
        card = result.predictor.card.to_json()
        print_json({**card, "predictor": str(output), "report": str(report)})
        return
    print_wrapped(result.ranking.headline())
    for line in result.ranking.lines(N_SHOWN):
        echo(line)
    print_wrapped(result.ranking.details())
    if result.predictor.recipe.tap_weights:
        print_wrapped(f"Weights of the taps: {result.predictor.recipe.weights_text()}")
    for line in result.predictor.recipe.variance_lines():
        print_wrapped(line)
    if result.heads:
        print_wrapped(str(result.heads))
    print_wrapped(advise(result.ranking, len(result.predictor.classes)))
    for line in result.evaluation.lines():
        echo(line)
    if result.floor:
        print_wrapped(result.floor)
    for line in result.hindsight.lines() if result.hindsight else ():
        echo(line)
    if result.features.quarantined:
        echo(f"{len(result.features.quarantined)} items quarantined, see {output / BAD_ROWS}")
    echo(f"Predictor: {output}")
    echo(f"Report:    {report}")
    echo(f"Features:  {result.predictor.card.store}")


def beside(data: Path) -> Path:
    """Return where a predictor goes by default: ``DATA.cutpoint``, without a table's own ending."""
    from cutpoint.items.reading import is_table

    whole = data if data.name not in ("", "..") else data.resolve()
    name = whole.stem if is_table(whole) and not whole.is_dir() else whole.name
    return whole.with_name(f"{name}.cutpoint")


def fitted_lines(recipe: str, output: Path) -> list[str]:
    """Return what PCA keeps of the variance, if `output` is a predictor of that recipe."""
    from cutpoint.learning.recipe import parse_recipe
    from cutpoint.products.predictor import MANIFEST, read_recipe

    if not (output / MANIFEST).exists():
        return []
    fitted = read_recipe(output)
    return fitted.variance_lines() if fitted.recipe == parse_recipe(recipe) else []
