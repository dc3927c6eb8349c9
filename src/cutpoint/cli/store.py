"""``cutpoint store info|verify FEATURES``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli.options import Json, echo, print_json, print_wrapped

app = typer.Typer(help="Look after a feature store.", no_args_is_help=True, rich_markup_mode=None)
StoreArgument = Annotated[Path, typer.Argument(metavar="FEATURES", help="A feature store.")]


@app.command()
def info(features: StoreArgument, as_json: Json = False) -> None:
    """Say what a store holds."""
    from cutpoint.extraction.plan import human_bytes
    from cutpoint.store import FeatureStore, describe_store

    facts = describe_store(FeatureStore(features))
    if as_json:
        print_json(facts)
        return
    for spec in facts["specs"]:
        echo(f"{spec['spec_id']}  {spec['backbone']}  {len(spec['taps'])} taps")
        print_wrapped(f"  taps     {', '.join(spec['taps'])}", " " * 11)
        unusual = [spec["precision"]] if spec["precision"] != "fp32" else []
        unusual += [f"{spec['decode']} decoding"] if spec["decode"] != "exact" else []
        if unusual:
            echo(f"  computed {', '.join(unusual)}")
        size = human_bytes(spec["n_bytes"])
        echo(f"  rows     {spec['n_rows']} in {spec['n_shards']} shards, {size}")
        echo(f"  engines  {', '.join(spec['engines'])}")
    for view in facts["views"]:
        counts = f"{view['n_items']} items, {view['n_quarantined']} bad"
        echo(f"data set {view['name']}: {counts}")


@app.command()
def verify(
    features: StoreArgument,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the catalog again from the shards.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare every byte with its digest. Exit code 1 if anything is damaged."""
    from dataclasses import asdict

    from cutpoint.store import FeatureStore, rebuild_catalog, verify_store

    store = FeatureStore(features)
    store.require()
    report = rebuild_catalog(store) if rebuild else verify_store(store)
    if as_json:
        print_json(asdict(report))
    else:
        echo(f"{report.n_shards} shards, {report.n_rows} rows, {report.n_bytes} bytes checked")
        for name, what in report.damaged:
            echo(f"damaged: {name}: {what}")
        for name in report.orphans:
            echo(f"not in the catalog (harmless): {name}")
        echo("whole" if report.is_whole else "DAMAGED: extract again; only that is computed")
    if not report.is_whole:
        raise typer.Exit(1)
