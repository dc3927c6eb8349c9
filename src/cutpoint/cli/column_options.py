"""Options that name the columns of a manifest: spelled once, added to each command that reads."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer


def _column(help_text: str, *words: str) -> Any:
    return Annotated[str | None, typer.Option(*words, metavar="COLUMN", help=help_text)]


_ITEMS = {
    "text": _column("Where texts are in a manifest. Default: text.", "--text"),
    "text_pair": _column("Where the second texts of pairs are.", "--text-pair"),
    "image": _column("Where names of image files are.", "--image"),
    "path": _column("Where names of files are. Default: path.", "--path"),
    "id": _column("Where keys are. Default: id, else the path or the row.", "--id"),
    "encoding": Annotated[
        str | None,
        typer.Option(
            "--encoding", metavar="NAME", help="The one of CSV, TSV and JSON lines. Default: UTF-8."
        ),
    ],
}
_ABOUT = {
    "label": _column("Where labels are. Default: label.", "--label"),
    "group": _column("Where groups are that stay together. Default: group.", "--group"),
}
_SPLIT = "Where train, val and test are said. Default: split."
_SPLITS = Annotated[
    str | None,
    typer.Option("--splits", metavar="FILE", help="A splits.csv that an earlier fit has written."),
]
_DEV = Annotated[
    str | None,
    typer.Option(
        "--dev",
        metavar="train|judge",
        help="What dev.* or val.* beside train.* and test.* is for. Default: train.",
    ),
]
OF_DESCRIBED = {
    **_ITEMS,
    "text": Annotated[
        list[str] | None,
        typer.Option("--text", help="A text; repeat. Beside a manifest: where texts are."),
    ],
}
OF_SCORED = {
    **_ITEMS,
    **_ABOUT,
    "split_column": _column(_SPLIT, "--split-column"),
    "splits": _SPLITS,
}
OF_DATA = {
    **_ITEMS,
    **_ABOUT,
    "split_column": _column(_SPLIT, "--split", "--split-column"),
    "splits": _SPLITS,
    "dev": _DEV,
}


def with_columns(options: dict[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options to a command; it is given those that were typed as one mapping, `columns`."""
    return with_group("columns", options)


def with_group(
    group: str, options: dict[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add options to a command; it is given those that were typed as one mapping, `group`."""

    def added(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            said = {name: given.pop(name) for name in options}
            typed = {name: value for name, value in said.items() if value is not None}
            command(**given, **{group: typed})

        own = inspect.signature(command, eval_str=True).parameters.values()
        # A command of words alone, so that what is added may stand after defaults.
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=each)
            for name, each in options.items()
        ]
        kept = [each for each in own if each.name != group]
        run.__signature__ = inspect.Signature([*kept, *more])  # type: ignore[attr-defined]  # read by typer
        run.__annotations__ = {each.name: each.annotation for each in (*kept, *more)}
        return run

    return added
