"""``cutpoint extract DATA BACKBONE``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cutpoint.cli.column_options import OF_DATA, with_columns
from cutpoint.cli.options import (
    DataArgument,
    Decode,
    EngineName,
    FollowLinks,
    Inputs,
    Json,
    MaxBad,
    Pools,
    Precision,
    PreprocessName,
    Quiet,
    Seed,
    Storage,
    Taps,
    TrustWeights,
    Workers,
    constants,
    echo,
    pool_list,
    print_json,
    print_wrapped,
    tap_list,
    tell_warnings,
)
from cutpoint.cli.reading_options import with_reading

if TYPE_CHECKING:
    from cutpoint.items.reading import ColumnNames


@with_reading
@with_columns(OF_DATA)
def extract(
    data: DataArgument,
    columns: dict[str, str],
    reading: dict[str, Any],
    backbone: Annotated[
        str,
        typer.Argument(
            metavar="BACKBONE", help="source:name, or a path. Default: that of the kind of items."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "--store", "-o", help="Store. Default: the user's cache."),
    ] = None,
    preprocess: PreprocessName = None,
    inputs: Inputs = None,
    trust_weights: TrustWeights = False,
    decode: Decode = None,
    tap: Taps = None,
    pool: Pools = None,
    storage: Storage = "auto",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    workers: Workers = None,
    max_bad: MaxBad = 0.01,
    seed: Seed = 0,
    follow_links: FollowLinks = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print where the time went, and what would help.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute frozen features once and keep them on disk."""
    from cutpoint import api
    from cutpoint.features.extraction import Profile
    from cutpoint.features.extraction.bad_rows import BAD_ROWS
    from cutpoint.features.extraction.request import default_store
    from cutpoint.items.reading import Columns

    store = output or default_store()
    splits = columns.pop("splits", None)
    named = Columns.of("extract", columns)
    profiles: list[Profile] = []
    features = api.extract(
        data,
        api.load(
            backbone or api.default_backbone(data, named),
            preprocess,
            trust_weights=trust_weights,
            decode=decode,
            inputs=constants(inputs),
            **reading,
        ),
        tap_list(tap),
        pool_list(pool),
        store,
        splits=splits,
        engine=engine,
        precision=precision,
        n_workers=workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
        profile=profiles.append,
        quiet=quiet,
        **cast("ColumnNames", columns),
    )
    tell_warnings(features.warnings, quiet)
    if as_json:
        facts = {
            "store": str(store),
            "n_items": len(features),
            "spec_id": features.spec.fingerprint(),
            "precision": features.spec.precision,
            "precision_check": features.precision_check,
            "taps": list(features.taps),
            "quarantined": [list(row) for row in features.quarantined],
        }
        print_json({**facts, "profile": profiles[0].to_json()} if profile else facts)
        return
    for line in str(profiles[0]).splitlines() if profile else ():
        print_wrapped(line, " " * 12)
    if features.quarantined:
        listed = f", see {store / BAD_ROWS}" if (store / BAD_ROWS).exists() else ""
        echo(f"{len(features.quarantined)} items quarantined{listed}")
    echo(f"{len(features)} items × {len(features.taps)} taps in {store}")
