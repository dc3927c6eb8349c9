"""A text where a person looks at it, and what to say of what does not fit."""

from __future__ import annotations

from typing import Any

from cutpoint.items.kinds.text.read import texts_of
from cutpoint.items.kinds.text.spec import TextSpec

SNIPPET_LETTERS = 160


def snippet(payload: Any, spec: TextSpec) -> str:
    """Return the beginning of a text in one line; of a pair, of both.

    Raises
    ------
    BadItem
        If it is no text.
    """
    texts = [each for each in texts_of(payload) if each is not None]
    return " / ".join(_shortened(each, SNIPPET_LETTERS // len(texts)) for each in texts)


def _shortened(text: str, n_letters: int) -> str:
    line = " ".join(text[: 4 * n_letters].split())  # a line of 1 MB is not split for its beginning
    return line if len(line) <= n_letters else f"{line[: n_letters - 1]}…"


def wanted(payload: Any, spec: TextSpec) -> tuple[str, str]:
    """Return what `spec` takes, and what to type."""
    return "texts, each a str", "Type, for example:  [str(text) for text in texts]"
