"""Options that say how items are read, as `cutpoint.load` takes them; their kind checks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cutpoint.cli.column_options import with_group


def _word(help_text: str, word: str, kind: Any = str, metavar: str | None = None) -> Any:
    return Annotated[kind | None, typer.Option(word, metavar=metavar, help=help_text)]


READING = {
    "long": _word(
        "What becomes of texts beyond the limit. Default: truncate.",
        "--long",
        metavar="truncate|chunks",
    ),
    "max_tokens": _word("Most tokens of a text. Default: the network's own.", "--max-tokens", int),
    "overlap": _word("Tokens that two chunks share. Default: 32.", "--overlap", int),
    "prompt": _word("Stands before each text. Default: the network's own.", "--prompt"),
    "empty": _word("What a text without a token is. Default: bad.", "--empty", metavar="bad|keep"),
    "specials": _word(
        "What [SEP] in a text is: letters, or the token. Default: text.",
        "--specials",
        metavar="text|tokens",
    ),
}


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Add `READING` to a command, which is given what was typed as one mapping, `reading`."""
    return with_group("reading", READING)(command)
