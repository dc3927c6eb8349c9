"""``cutpoint predict MODEL FILES``, or ``--text "…"``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutpoint.base.errors import UsageError
from cutpoint.base.text import printable, shortened
from cutpoint.cli.column_options import OF_DESCRIBED, with_columns
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

if TYPE_CHECKING:
    from cutpoint.products.predictor import Predictor

N_SHOWN = 60  # letters of a text; longer names stand whole, and nothing is padded to theirs


@with_columns(OF_DESCRIBED)
def predict(
    model: ModelArgument,
    columns: dict[str, Any],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILES", help="Files, one folder or manifest; or one file with a text per line."
        ),
    ] = None,
    trust_weights: TrustWeights = False,
    engine: EngineName = "auto",
    workers: Workers = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print class, labels or value of each file, in order, and how sure; bad files say why."""
    from cutpoint import api

    texts = columns.pop("text", [])
    predictor = api.load_predictor(model, trust_weights=trust_weights)
    if files and texts:
        columns["text"] = _one_column(texts)
    elif texts:
        _refuse_texts(predictor, columns)
    predictions = api.predict(
        predictor,
        _data(files or [], texts),
        engine=engine,
        n_workers=workers,
        quiet=quiet,
        **columns,
    )
    if as_json:
        print_json([each.to_json() for each in predictions])
    else:
        shown = [shortened(text, N_SHOWN) for text in texts] if not files else []
        keys = [printable(each) for each in shown or (each.key for each in predictions)]
        width = min(max(map(len, keys), default=0), N_SHOWN)
        for key, each in zip(keys, predictions, strict=True):
            echo(f"{key:<{width}}  {each.told}")
    n_bad = sum(bool(each.reason) for each in predictions)
    if n_bad:
        echo(f"{n_bad} of {len(predictions)} items are bad", err=True)
    if n_bad == len(predictions):
        raise typer.Exit(1)


def _data(files: list[str], texts: list[str]) -> Any:
    """Return what is described: the one path that was typed, several, or texts."""
    if not files and not texts:
        raise UsageError(
            "There is nothing to predict.",
            "No file is named, and no text.",
            "Files, one folder or manifest; or texts, each behind a --text of its own.",
            "Type, for example:  cutpoint predict MODEL FILE",
        )
    if not files:
        return texts
    return files[0] if len(files) == 1 else [Path(each) for each in files]


def _refuse_texts(predictor: Predictor, columns: dict[str, Any]) -> None:
    """Raise `UsageError` for texts without a file that nothing can be said of."""
    from cutpoint.items.kinds import kind_named
    from cutpoint.items.reading import Columns, ItemColumns

    Columns.of("predict", columns, ItemColumns).refuse("Texts are typed, and no file is named.")
    kind = predictor.backbone.kind
    if "text" not in kind_named(kind).COLUMNS:
        raise UsageError(
            "--text can't be followed by this predictor.",
            f"It reads items of kind {kind}.",
            "Files, one folder or manifest.",
            "Type, for example:  cutpoint predict MODEL FILE",
        )


def _one_column(texts: list[str]) -> str:
    """Return the column that ``--text`` names beside a file."""
    if len(texts) > 1:
        raise UsageError(
            "--text is typed several times beside a file.",
            "There it names the one column of a manifest where texts are.",
            "One column; or texts without a file.",
            'Type, for example:  cutpoint predict MODEL --text "…" --text "…"',
        )
    return texts[0]
