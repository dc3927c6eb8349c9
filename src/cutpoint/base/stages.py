"""``name(argument, key=value, flag)``, as a person types a stage of a recipe, or a head."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_TYPED = re.compile(r"([a-z_0-9+]+)\s*(?:\((.*)\))?", re.DOTALL)
_WORD = re.compile(r"[A-Za-z][A-Za-z_0-9-]*")

Arguments = tuple[tuple[str, Any], ...]


def read_stage(text: str) -> tuple[str, list[str]]:
    """Return the name and the words between the brackets; ValueError if it can't be read."""
    found = _TYPED.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" can\'t be read')
    words = [word.strip() for word in (found[2] or "").split(",") if word.strip()]
    return found[1], words


def read_arguments(
    name: str, kind: type, words: Sequence[str], without: Collection[str] = ()
) -> Arguments:
    """Return typed words as arguments of `kind`: values by place, flags by name, or key=value.

    Parameters
    ----------
    name : str
        For messages.
    without : collection of str
        Parameters that a person does not give.

    Raises
    ------
    ValueError
        If a word is no argument of `kind`; the message says which there are.
    """
    parameters = parameters_of(kind, without)
    places = list(parameters)
    found: dict[str, Any] = {}
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        key = key.strip()
        if not equals and isinstance(parameters.get(word), bool):
            key, value = word, "True"
        elif not equals and place < len(places):
            key, value = places[place], word
        if key not in parameters or key in found:
            raise ValueError(f'{name} takes {_usage(parameters)}, not "{word}"')
        try:
            found[key] = _value(value.strip(), parameters[key], _takes_words(kind, key))
        except ValueError as error:
            raise ValueError(f"{name} takes {_usage(parameters)}; {error}") from error
    return tuple((key, value) for key, value in found.items() if value != parameters[key])


def spell(name: str, arguments: Arguments) -> str:
    """Return the one spelling of a stage."""
    words = [key if value is True else f"{key}={_spelled(value)}" for key, value in arguments]
    return f"{name}({', '.join(words)})" if words else name


def parameters_of(kind: type, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the parameters of a class with their defaults."""
    signature = inspect.signature(kind).parameters.items()
    return {key: value.default for key, value in signature if key not in without}


def _takes_words(kind: type, key: str) -> bool:
    return "str" in str(inspect.signature(kind).parameters[key].annotation)


def _value(word: str, default: Any, takes_words: bool) -> Any:
    """Return what `word` spells; ValueError, with why, if it is nothing of the kind."""
    if isinstance(default, bool):
        if word not in ("True", "False"):
            raise ValueError(f'"{word}" is not True or False')
        return word == "True"
    try:
        if ":" in word:  # several numbers
            return tuple(_number(part) for part in word.split(":"))
        return _number(word)
    except ValueError as error:
        if takes_words and _WORD.fullmatch(word):
            return word
        raise ValueError(f'"{word}" is no number') from error


def _number(word: str) -> int | float:
    value = float(word)
    return int(value) if value.is_integer() and "." not in word else value


def _spelled(value: Any) -> str:
    # `str` keeps every digit of a number.
    return ":".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _usage(parameters: Mapping[str, Any]) -> str:
    return (
        ", ".join(key if v is False else f"{key}={v}" for key, v in parameters.items()) or "nothing"
    )
