"""``cutpoint evaluate MODEL DATA``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cutpoint.cli.column_options import OF_SCORED, with_columns
from cutpoint.cli.options import (
    DataArgument,
    EngineName,
    FollowLinks,
    Json,
    KindName,
    ModelArgument,
    Quiet,
    TrustWeights,
    echo,
    print_json,
)

if TYPE_CHECKING:
    from cutpoint.items.reading import DataColumns


@with_columns(OF_SCORED)
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    columns: dict[str, str],
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="test, val, train or all. Default: test; all if the data has no splits."
        ),
    ] = None,
    kind: KindName = "auto",
    leave_out_trained: Annotated[
        bool, typer.Option("--leave-out-trained", help="Leave out items that were trained on.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML report here.")
    ] = None,
    follow_links: FollowLinks = False,
    trust_weights: TrustWeights = False,
    engine: EngineName = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score a predictor on labelled items it has not learned from."""
    from cutpoint import api

    evaluation = api.evaluate(
        model,
        data,
        split,
        kind,
        splits=columns.pop("splits", None),
        leave_out_trained=leave_out_trained,
        follow_links=follow_links,
        trust_weights=trust_weights,
        engine=engine,
        report=report,
        quiet=quiet,
        **cast("DataColumns", columns),
    )
    if as_json:
        print_json(evaluation.to_json())
        return
    for line in evaluation.lines():
        echo(line)
    if report is not None:
        echo(f"Report: {report}")
