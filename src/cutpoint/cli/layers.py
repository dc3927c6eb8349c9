"""``cutpoint layers BACKBONE``."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Any

import typer

from cutpoint.cli.options import (
    Inputs,
    Json,
    PreprocessName,
    TrustWeights,
    constants,
    echo,
    print_json,
)
from cutpoint.cli.reading_options import with_reading


@with_reading
def layers(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="source:name, or a path.")],
    find: Annotated[str, typer.Option("--find", help="Only names that match this glob.")] = "*",
    preprocess: PreprocessName = None,
    inputs: Inputs = None,
    trust_weights: TrustWeights = False,
    as_json: Json = False,
    *,
    reading: dict[str, Any],
) -> None:
    """List the layers: index, name, kind, shape, stride, parameters, MACs to here."""
    from cutpoint.api import list_layers

    table = list_layers(
        backbone, preprocess, trust_weights=trust_weights, inputs=constants(inputs), **reading
    )
    found = table.find(find)
    if not found.rows:
        table.select(find)  # which says what there is
    if as_json:
        print_json(found.to_json())
    else:
        # A pipe gets whole names.
        n_columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in found.lines(n_columns):
            echo(line)
