"""One ``.npz`` that holds a whole data set of arrays: X, y, and maybe groups, splits and keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.errors import DataError
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.items.reading.items import Dataset

ITEMS, LABELS = "X", "y"
OTHERS = ("groups", "splits", "keys")


def is_archive(path: Path, kind: str) -> bool:
    """Say whether `path` is an archive of a whole data set, not of one item: it has an X."""
    if kind != "array" or path.suffix != ".npz" or not path.is_file():
        return False
    return any(_is_items(name) for name in _opened(path).files)


def read_archive(path: Path) -> Dataset:
    """Return the data set in an ``.npz``.

    ``X`` is an array (n_items, …); or, of several inputs, each is an array ``X.name``. ``y`` holds
    the labels; ``groups``, ``splits`` and ``keys`` are optional. No pickled objects are read.

    Raises
    ------
    DataError
        If it can't be read, or holds arrays of other names or lengths.
    """
    arrays = _arrays(path)
    inputs = {name.partition(".")[2]: each for name, each in arrays.items() if _is_items(name)}
    strange = [n for n in arrays if not _is_items(n) and n not in (LABELS, *OTHERS)]
    if strange or not inputs or ("" in inputs and len(inputs) > 1):
        raise _bad(path, f"it holds {', '.join(arrays)}")
    lengths = {name: len(each) if each.ndim else 0 for name, each in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise _bad(path, f"its arrays differ in length: {shown}")
    rows = list(inputs[""]) if "" in inputs else _rows(inputs)
    columns = {name: arrays[name].tolist() for name in (LABELS, *OTHERS) if name in arrays}
    found = read_arrays(
        rows,
        columns.get(LABELS),
        columns.get("groups"),
        columns.get("splits"),
        columns.get("keys"),
        kind="array",
    )
    return replace(found, name=str(path))


def _is_items(name: str) -> bool:
    return name == ITEMS or name.startswith(f"{ITEMS}.")


def _rows(inputs: dict[str, Any]) -> list[dict[str, Any]]:
    n_items = len(next(iter(inputs.values())))
    return [{name: each[row] for name, each in inputs.items()} for row in range(n_items)]


def _opened(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # a broken file provokes whatever zip or NumPy did not foresee
        raise _bad(path, f"it can't be read: {str(error)[:100]}") from error


def _arrays(path: Path) -> dict[str, Any]:
    with _opened(path) as archive:
        try:
            return {name: archive[name] for name in archive.files}
        except Exception as error:  # as above; objects need pickle, and that is not read
            raise _bad(path, f"it can't be read: {str(error)[:100]}") from error


def _bad(path: Path, what: str) -> DataError:
    return DataError(
        f'"{path}" is no archive of a data set: {what}.',
        "Nothing was read.",
        "Arrays X (n_items, …) or X.NAME of each input, y with the labels, and maybe groups, "
        "splits and keys; all as long as X, and of plain numbers or text.",
        "Write one with:  numpy.savez(path, X=X, y=y)",
    )
