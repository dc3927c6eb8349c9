"""Arguments checked before any work: each check raises the one error that says what to type."""

from __future__ import annotations

import math
import os
import tempfile
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.text import shown
from cutpoint.base.tongue import option

_PATHS = {"output": "model", "path": "model", "report": "report.html", "data": "photos"}
MAX_SEED = 2**32 - 1  # NumPy's and scikit-learn's generators take no more


def check_count(name: str, value: Any, example: int) -> None:
    """Raise `UsageError` unless `value` is None or a whole number, 1 or more."""
    if value is not None:
        _check_whole(name, value, 1, math.inf, example)


def check_workers(n_workers: Any) -> None:
    """Raise `UsageError` unless it is None or a whole number, 1 or more."""
    if n_workers is not None:
        _check_whole("n_workers", n_workers, 1, math.inf, 4)


def check_seed(seed: Any, name: str = "seed") -> None:
    """Raise `UsageError` unless it is a whole number from 0 to `MAX_SEED`."""
    _check_whole(name, seed, 0, MAX_SEED, 0)


def check_flags(**given: Any) -> None:
    """Raise `UsageError` for the first that is neither True nor False: ``"no"`` would count as yes.

    Parameters
    ----------
    **given
        Arguments that are bools, by their names.
    """
    for name, value in given.items():
        if not isinstance(value, bool | np.bool_):
            raise UsageError(
                f"{name} is {shown(value)}, which is neither True nor False.",
                "It is one or the other.",
                "True or False.",
                f"Type, for example:  {name}=True",
            )


def check_share(name: str, value: Any) -> None:
    """Raise `UsageError` unless it is a number from 0 to 1."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise UsageError(
            f"{option(name)} can't be {shown(value)}.",
            "It is a share.",
            "A number from 0 to 1.",
            f"Type, for example:  {option(name, 0.05)}",
        )


def check_choice(name: str, value: Any, choices: Any, example: str) -> None:
    """Raise `UsageError` unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UsageError(
            f"{option(name)} can't be {shown(value)}.",
            "There is none of that name.",
            f"{name.capitalize()}s: {', '.join(choices)}.",
            f"Type, for example:  {option(name, example)}",
        )


def as_path(name: str, value: Any) -> Path:
    """Return a path that is one, or raise `UsageError`."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise UsageError(
            f"{option(name)} is {shown(value)}, which is no path.",
            "A file or folder is named by text or a pathlib.Path.",
            "A path.",
            f"Type, for example:  {option(name, _PATHS.get(name, 'folder'))}",
        )
    return Path(value)


def check_writable(path: Path, what: str, is_folder: bool = True) -> None:
    """Raise `UsageError` unless a folder, or a file, can be made at `path`; nothing is left there.

    Parameters
    ----------
    what : str
        What is to be written, for the message: ``"The report"``.
    """
    why = ""
    if path.exists() and path.is_dir() != is_folder:
        why = "is a file" if is_folder else "is a folder"
    found = next(each for each in (path, *path.absolute().parents) if each.is_dir())
    blocking = next((each for each in path.absolute().parents if each.is_file()), None)
    if blocking is not None:
        why = f'lies below "{blocking}", which is a file'
    if not why:
        try:
            with tempfile.TemporaryFile(dir=found):
                return
        except OSError as error:
            why = f"can't be made: {error.strerror or error}"
    raise UsageError(
        f'{what} can\'t be written to "{path}".',
        f"It {why}.",
        "A path that this user may write to.",
        f"Look there with:  ls -ld {found}",
    )


def _check_whole(name: str, value: Any, least: float, most: float, example: int) -> None:
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or not least <= value <= most:
        upper = "or more" if most == math.inf else f"to {most}"
        raise UsageError(
            f"{option(name)} can't be {shown(value)}.",
            f"It is a whole number, {least} {upper}.",
            "Such a number.",
            f"Type, for example:  {option(name, example)}",
        )
