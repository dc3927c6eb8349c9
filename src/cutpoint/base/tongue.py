"""Arguments in the reader's words: ``max_bad=0.1`` in Python, ``--max-bad 0.1`` in a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Options whose word in the command line is not Python's with dashes.
_IN_SHELL = {
    "backbones": "--backbone",
    "inputs": "--input",
    "n_workers": "--workers",
    "output": "--output",
    "taps": "--tap",
}
_speaks_shell = False


@contextmanager
def in_shell() -> Iterator[None]:
    """Speak the command line's words: what runs in here was typed there."""
    global _speaks_shell  # one process serves one command line
    before, _speaks_shell = _speaks_shell, True
    try:
        yield
    finally:
        _speaks_shell = before


def option(name: str, value: Any = None) -> str:
    """Return how an argument is typed, with its value; True is a flag, a dict one word per key.

    Examples
    --------
    >>> option("max_bad", 0.1)
    'max_bad=0.1'
    """
    if not _speaks_shell:
        return name if value is None else f"{name}={value!r}"
    word = _IN_SHELL.get(name, f"--{name.replace('_', '-')}")
    if value is None or value is True:
        return word
    typed = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else [value]
    return " ".join(f"{word} {shlex.quote(str(each))}" for each in typed)


def arguments(**values: Any) -> str:
    """Return several arguments with their values, as they stand beside each other.

    Examples
    --------
    >>> arguments(recipe="gap | softmax", max_bad=0.1)
    "recipe='gap | softmax', max_bad=0.1"
    """
    return (" " if _speaks_shell else ", ").join(option(*each) for each in values.items())


def either(in_python: str, in_shell: str) -> str:
    """Return the words of whoever reads, where the two differ in more than an argument's name."""
    return in_shell if _speaks_shell else in_python


def layers_of(backbone: str, *, trust_weights: bool = False) -> str:
    """Return what lists the layers of a backbone.

    Examples
    --------
    >>> layers_of("timm:vit_small_patch16_224")
    "cutpoint.load('timm:vit_small_patch16_224').layers()"
    """
    if backbone.startswith("object:"):  # nothing loads it by name
        return "backbone.layers()"
    more = ", trust_weights=True" if trust_weights else ""
    typed = f"cutpoint layers {shlex.quote(backbone)}{' --trust-weights' if trust_weights else ''}"
    return either(f"cutpoint.load({backbone!r}{more}).layers()", typed)


def options(*names: str) -> str:
    """Return several arguments by name: ``taps, pool`` or ``--tap, --pool``."""
    return ", ".join(option(name) for name in names)
