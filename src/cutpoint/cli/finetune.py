"""``cutpoint finetune DATA -o NEW``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.cli.column_options import OF_DATA, with_columns
from cutpoint.cli.options import (
    DataArgument,
    EngineName,
    FollowLinks,
    Json,
    MaxBad,
    Quiet,
    Seed,
    Store,
    TrustWeights,
    Workers,
    echo,
    print_json,
    print_wrapped,
)

if TYPE_CHECKING:
    from cutpoint.items.reading import ColumnNames


@with_columns(OF_DATA)
def finetune(
    data: DataArgument,
    columns: dict[str, str],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the tuned predictor.")],
    start: Annotated[
        Path | None,
        typer.Option("--start", metavar="MODEL", help="What is tuned. Default: what fit makes."),
    ] = None,
    unfreeze: Annotated[
        str,
        typer.Option(
            "--unfreeze", help="norm, last:2, last:10layers, from:NAME, from:-10, all or lora(8)."
        ),
    ] = "last:1",
    end: Annotated[
        str | None, typer.Option("--end", metavar="TAP", help="Cut at this layer, tune below.")
    ] = None,
    lr: Annotated[
        list[str] | None,
        typer.Option("--lr", help="auto, find, or a learning rate; repeat: judged. Default: auto."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="At most. Default: 10, 6 or 4, by the rows.")
    ] = None,
    views: Annotated[
        int, typer.Option("--views", help="1, 2, 4 or 8: how often each photo is stored.")
    ] = 4,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Rows a step.")] = 32,
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", help="Of what has two axes or more.")
    ] = 0.01,
    smoothing: Annotated[float, typer.Option("--smoothing", help="Of labels, 0 to 0.99.")] = 0.0,
    dropout: Annotated[
        float, typer.Option("--dropout", help="Of what the head sees, 0 to 0.99.")
    ] = 0.0,
    pull: Annotated[float, typer.Option("--pull", help="Towards the start.")] = 0.0,
    lr_decay: Annotated[
        float, typer.Option("--lr-decay", help="A block's learning rate over that above it.")
    ] = 1.0,
    schedule: Annotated[
        str, typer.Option("--schedule", help="gradual: one block more in each epoch.")
    ] = "",
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda, …; which it is, is said.")
    ] = "auto",
    storage: Annotated[
        str, typer.Option("--storage", help="auto (fp16), fp32 or fp16, of what lies at the cut.")
    ] = "auto",
    store: Store = None,
    engine: EngineName = "auto",
    workers: Workers = None,
    max_bad: MaxBad = 0.01,
    seed: Seed = 0,
    follow_links: FollowLinks = False,
    trust_weights: TrustWeights = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the last part of a predictor's network, if rows left out say that it serves."""
    from cutpoint import api
    from cutpoint.features.extraction.request import Request
    from cutpoint.items.reading import Columns, read_dataset
    from cutpoint.learning.finetune import parse_unfreeze
    from cutpoint.products.finetuning import FinetuneOptions, run_finetune
    from cutpoint.products.predictor import refuse_foreign

    said = columns.pop("splits", None)
    named = Columns.of("finetune", columns)
    request = Request.of(
        store=store,
        engine=engine,
        n_workers=workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    options = FinetuneOptions(
        unfreeze=parse_unfreeze(unfreeze),
        request=request,
        end=end,
        lr=_rates(lr),
        epochs=epochs,
        views=views,
        batch_size=batch_size,
        weight_decay=weight_decay,
        smoothing=smoothing,
        dropout=dropout,
        pull=pull,
        lr_decay=lr_decay,
        schedule=schedule,
        device=device,
    )
    refuse_foreign(output)
    reporter = Reporter(quiet)
    if start is None:
        begun = api.fit(
            data,
            store=store,
            splits=said,
            engine=engine,
            n_workers=workers,
            max_bad=max_bad,
            seed=seed,
            follow_links=follow_links,
            quiet=quiet,
            **cast("ColumnNames", columns),
        )
    else:
        begun = api.load_predictor(start, trust_weights=trust_weights)
    dataset = read_dataset(
        data, splits=said, follow_links=follow_links, kind=begun.backbone.kind, columns=named
    )
    tuned, evaluation = run_finetune(dataset, begun, options, output, reporter)
    if as_json:
        print_json({**tuned.card.to_json(), "predictor": str(output)})
        return
    print_wrapped((tuned.card.finetune or {})["text"])
    for line in evaluation.lines():
        echo(line)
    echo(f"Predictor: {output}")


def _rates(typed: list[str] | None) -> str | tuple[float, ...]:
    """Return the rates as `cutpoint.finetune` takes them."""
    if not typed:
        return "auto"
    if len(typed) == 1 and typed[0] in ("auto", "find"):
        return typed[0]
    try:
        return tuple(map(float, typed))
    except ValueError as error:
        raise UsageError(
            f"--lr is {', '.join(typed)}.",
            "A learning rate is a number.",
            "auto, find, or numbers from 1e-9 to 10, each after an --lr of its own.",
            "Type, for example:  --lr 1e-4 --lr 3e-4",
        ) from error
