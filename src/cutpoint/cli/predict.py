"""``cutpoint predict MODEL FILES``."""

from __future__ import annotations

from typing import Annotated

import typer

from cutpoint.base.text import printable
from cutpoint.cli.options import (
    EngineName,
    Json,
    ModelArgument,
    Quiet,
    TrustWeights,
    Workers,
    echo,
    print_json,
)


def predict(
    model: ModelArgument,
    files: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Files, or one folder or manifest.")
    ],
    trust_weights: TrustWeights = False,
    engine: EngineName = "auto",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print class, labels or value of each file, in order, and how sure; bad files say why."""
    from cutpoint import api

    data = files[0] if len(files) == 1 else files
    predictions = api.predict(
        model, data, trust_weights=trust_weights, engine=engine, n_workers=workers, quiet=quiet
    )
    if as_json:
        print_json([each.to_json() for each in predictions])
    else:
        keys = [printable(each.key) for each in predictions]
        width = max(map(len, keys), default=0)
        for key, each in zip(keys, predictions, strict=True):
            echo(f"{key:<{width}}  {each.told}")
    n_bad = sum(bool(each.reason) for each in predictions)
    if n_bad:
        echo(f"{n_bad} of {len(predictions)} files are bad", err=True)
    if n_bad == len(predictions):
        raise typer.Exit(1)
