"""What a person says of how texts are read, and what is to be known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option, options
from cutpoint.items.kinds.text.spec import TextSpec
from cutpoint.items.kinds.text.tokenizers import is_uncased

SAYABLE = ("empty", "long", "max_tokens", "overlap", "prompt", "specials")


def adjusted(spec: TextSpec, given: Mapping[str, Any]) -> TextSpec:
    """Return `spec` with fields of it by name.

    Raises
    ------
    UsageError
        If there is no such field, or no such value; or more tokens than the network takes.
    """
    _refuse_unknown(given)
    fields = dict(given)
    if fields.get("max_tokens", spec.max_tokens) != spec.max_tokens:
        fields["limit_from"] = "max_tokens"
    try:
        found = replace(spec, **fields)
        found.check()
        if "overlap" in given and found.long != "chunks":
            raise ValueError("overlap is that of chunks, and texts are cut at the limit")
        if found.max_tokens > spec.max_tokens:
            raise ValueError(f"{spec.limit_from} allows {spec.max_tokens} tokens at most")
    except ValueError as error:
        raise UsageError(
            f"Texts can't be read with {', '.join(f'{n}={v!r}' for n, v in given.items())}.",
            f"Wrong is: {error}.",
            "long is truncate or chunks, empty bad or keep, specials text or tokens; max_tokens a "
            "number the network takes.",
            f"Type, for example:  {option('long', 'chunks')}",
        ) from error
    return found


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    strange = [name for name in given if name not in SAYABLE]
    if strange:
        raise UsageError(
            f"{options(*strange)} can't be followed: texts are not read by anything of that name.",
            "The backbone reads items of kind text.",
            f"What can be said of texts: {', '.join(SAYABLE)}.",
            f"Type, for example:  {option('long', 'chunks')}",
        )


def remarks(spec: TextSpec) -> tuple[str, ...]:
    """Return the limit and where it comes from, whether case is seen, and the prompt."""
    found = [f"Texts of at most {spec.max_tokens} tokens ({spec.limit_from}); long: {spec.long}"]
    if is_uncased(spec.tokenizer) or spec.lower_case:
        found.append("Uncased: capitals and small letters are one to the tokenizer")
    if spec.prompt:
        found.append(f'Before each text stands "{spec.prompt}"')
    return tuple(found)
