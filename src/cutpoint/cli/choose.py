"""``cutpoint choose FEATURES|DATA``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli.options import Json, Pools, Quiet, Store, Taps, pool_list, print_json, tap_list


def choose(
    features: Annotated[
        Path, typer.Argument(metavar="FEATURES|DATA", help="A feature store, or labelled data.")
    ],
    backbone: Annotated[
        str, typer.Option("--backbone", "-b", help="source:name; for DATA only.")
    ] = "packaged:efficientnet_lite0",
    tap: Taps = None,
    pool: Pools = None,
    store: Store = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layer × pooling by exact leave-one-out accuracy on the training rows."""
    from cutpoint import api
    from cutpoint.store import FeatureStore

    found = FeatureStore(features)
    if found.exists():
        described = found.open()
    else:
        taps, pools = tap_list(tap), pool_list(pool)
        described = api.extract(features, backbone, taps, pools, store, quiet=quiet)
    ranking = api.choose(described, quiet=quiet)
    if as_json:
        print_json(ranking.to_json())
    else:
        typer.echo(str(ranking))
