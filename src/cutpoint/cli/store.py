"""``cutpoint store info|verify FEATURES``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cutpoint.cli.command import Command
from cutpoint.cli.options import Json, echo, print_json, print_wrapped

if TYPE_CHECKING:
    from cutpoint.features.store import Report

app = typer.Typer(help="Look after a feature store.", no_args_is_help=True, rich_markup_mode=None)
StoreArgument = Annotated[Path, typer.Argument(metavar="FEATURES", help="A feature store.")]


@app.command(cls=Command)
def info(features: StoreArgument, as_json: Json = False) -> None:
    """Say what a store holds."""
    from cutpoint.features.extraction.plan import human_bytes
    from cutpoint.features.store import FeatureStore, describe_store

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
    for number, view in enumerate(facts["views"], start=1):
        counts = f"{view['n_items']} items, {view['n_quarantined']} bad, view {view['view']}"
        newest = ", the newest" if 1 < number == len(facts["views"]) else ""
        echo(f"data set {view['name']}: {counts}{newest}")


@app.command(cls=Command)
def verify(
    features: StoreArgument,
    mend: Annotated[
        bool,
        typer.Option(
            "--mend", help="Move damaged shards to damaged/; take whole ones into the catalog."
        ),
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the catalog again from the shards.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare every byte with its digest. Exit code 1 if anything is damaged or can't be read."""
    from dataclasses import asdict

    from cutpoint.base.progress import Reporter
    from cutpoint.features.store import FeatureStore, mend_store, rebuild_catalog, verify_store

    store, reporter = FeatureStore(features), Reporter()
    store.require()

    def wait() -> None:
        reporter.say(f"Waiting: {store.path} has a writer already")

    rebuilt = rebuild_catalog(store, wait) if rebuild else None
    for line in mend_store(store, wait) if mend else ():
        reporter.say(line)
    report = rebuilt if rebuilt and not mend else verify_store(store)
    if as_json:
        print_json(asdict(report))
    else:
        echo(f"{report.n_shards} shards, {report.n_rows} rows, {report.n_bytes} bytes checked")
        for name, what in report.damaged:
            echo(f"damaged: {name}: {what}")
        for name, what in report.unreadable:
            echo(f"can't be read now: {name}: {what}")
        for remark in report.remarks:
            echo(remark)
        for name in report.orphans:
            echo(f"whole, but not in the catalog: {name}")
        for line in _what_to_do(report, features):
            echo(line)
    if not report.is_whole:
        raise typer.Exit(1)


def _what_to_do(report: Report, features: Path) -> Iterator[str]:
    """Yield the verdict, and what to type if there is something to be done."""
    if report.orphans:
        yield "A run was stopped before it entered these; the next extraction takes them in, or:"
        yield f"  cutpoint store verify --mend {shlex.quote(str(features))}"
    if report.damaged:
        yield "DAMAGED: extract again; only that is computed"
    elif report.unreadable:
        yield "NOT READ: nothing is known to be damaged; verify again once the disk answers"
    else:
        yield "whole"
