"""``cutpoint choose FEATURES``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cutpoint.cli.options import Json, Quiet, print_json


def choose(
    features: Annotated[Path, typer.Argument(metavar="FEATURES", help="A feature store.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank layer × pooling by exact leave-one-out accuracy on the training rows."""
    from cutpoint import api

    ranking = api.choose(features, quiet=quiet)
    if as_json:
        print_json(ranking.to_json())
    else:
        typer.echo(str(ranking))
