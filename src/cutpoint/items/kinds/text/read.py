"""Which files and objects are texts, and what tells two of them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Number
from typing import Any

from cutpoint.base.errors import BadItem
from cutpoint.base.text import a_kind

NAME = "text"
NOUN = "text"
ITEMS = "a str, a pair of str, or the pathlib.Path or bytes of a .txt file"
SUFFIXES = frozenset(["txt"])
COLUMNS = ("text", "path")
BESIDE = ("text_pair",)
LINES = SUFFIXES  # one text per line
PAIR = ("text", "text_pair")  # columns of a pair


@dataclass(frozen=True)
class NoText:
    """What stands where a text should, such as a missing cell: a bad item, not a wrong call."""

    what: str


def payload_of(given: Any) -> Any:
    """Return a str as it is, a pair as a tuple; None for what is neither.

    None, NaN and numbers among texts are what tables have for missing cells: `NoText`.
    """
    if isinstance(given, str):
        return str(given)
    if isinstance(given, Mapping):
        return payload_of(tuple(given[each] for each in PAIR)) if set(given) == set(PAIR) else None
    if isinstance(given, tuple | list):
        is_pair = len(given) == 2 and all(isinstance(each, str) for each in given)
        return tuple(map(str, given)) if is_pair else None
    if given is None or isinstance(given, Number):
        return NoText("nothing" if given is None else a_kind(given))
    return None


def digest(payload: Any) -> str:
    """Return the sha256 of a text in UTF-8, as of a file that holds it; of a pair, of both."""
    if isinstance(payload, str):
        return hashlib.sha256(_utf8(payload)).hexdigest()
    text, pair = texts_of(payload)
    first, second = (hashlib.sha256(_utf8(each or "")) for each in (text, pair))
    return hashlib.sha256(b"pair" + first.digest() + second.digest()).hexdigest()


def texts_of(payload: Any) -> tuple[str, str | None]:
    """Return the text, and the other of a pair.

    Raises
    ------
    BadItem
        If it is none, or bytes that are no UTF-8.
    """
    if isinstance(payload, NoText):
        raise BadItem(f"{payload.what} where a text is expected")
    if isinstance(payload, bytes):
        return decoded(payload), None
    text, pair = (payload, None) if isinstance(payload, str) else payload
    for each in (text, pair):
        if each is not None:
            _utf8(each)
    return text, pair


def decoded(data: bytes) -> str:
    """Return the text of a file in UTF-8, without the mark some programs put first."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadItem(
            f"no UTF-8 text: byte 0x{data[error.start]:02x} in line {line}, byte {error.start} of "
            "the file"
        ) from error
    if "\x00" in text:
        place = text.index("\x00")
        line = text.count("\n", 0, place) + 1
        raise BadItem(f"no text: a NUL in line {line}, character {place} of the file")
    return text


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        code = ord(text[error.start])
        raise BadItem(
            f"no text: a lone surrogate U+{code:04X} in line {line}, character {error.start}"
        ) from error
