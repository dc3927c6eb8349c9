"""Which kind the items of some data are, where no backbone says it.

1. A column that is named, as ``text``, is of the kind that has such a column.
2. A manifest is of the kind of its one column of items; of names of files, of their endings.
3. A folder is of the kind that most files are by their endings: others are a tenth at most.
4. Of items in memory the first one tells: a text, the name of a file, a row with columns.

Whatever can't be told is an error that lists what to type.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from cutpoint.base.contracts import Kind
from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.items.kinds import all_kinds
from cutpoint.items.reading.items import Dataset
from cutpoint.items.reading.manifest import split_manifests
from cutpoint.items.reading.named import ABOUT, FILES, ITEMS, Columns
from cutpoint.items.reading.read import no_such_data
from cutpoint.items.reading.tables import Table, is_table, open_table

# Arrays, loaders and generators, which can't be looked into without taking of them: they are meant
# as pictures, and refused where they are none.
IN_MEMORY = "image"
_N_LOOKED_AT = 1000  # files or rows
_MOST_OTHERS = 0.1


def kind_of(data: Any, columns: Columns | None = None) -> str:
    """Return the kind of the items in `data`, by the rule of this module.

    Raises
    ------
    UsageError
        If there is no such data, or it can't be told.
    """
    columns = columns or Columns()
    if isinstance(data, Dataset):
        return data.kind
    if not isinstance(data, str | os.PathLike):
        return _of_first(data, columns)
    path = Path(data)
    if path.is_dir():
        return _of_folder(path, columns)
    if path.is_file() and is_table(path):
        return _of_table(open_table(path, columns.encoding), columns)
    if not path.is_file():
        raise no_such_data(path, "any")
    return _one(_claims([path.suffix]), f'"{path}"')


def _of_folder(path: Path, columns: Columns) -> str:
    claims = _claims(_suffixes(path))
    for kind in all_kinds():
        files = split_manifests(path, kind)
        train = next((file for file, split in files if split == "train"), None)
        if train is not None:
            return _of_table(open_table(train, columns.encoding), columns)
    return _one(claims, f'"{path}"') if claims else IN_MEMORY


def _suffixes(folder: Path) -> Iterator[str]:
    """Yield the endings of the files below a folder, in its own order, of so many at most."""

    def walk() -> Iterator[str]:
        for _, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(n).suffix for n in sorted(names) if not n.startswith("."))

    return islice(walk(), _N_LOOKED_AT)


def _of_table(table: Table, columns: Columns) -> str:
    words = _item_words(table.names, columns)
    if not words:
        raise _no_column(table)
    claims = Counter(kind.NAME for kind in all_kinds() for word in words if word in kind.COLUMNS)
    if FILES[0] not in words or set(words) - {*FILES}:
        return _one(claims, f'"{table.path}"')
    name = columns.path or FILES[0]
    cells = (cells.get(name) for _, cells in islice(table.rows([name]), _N_LOOKED_AT))
    found = _claims(Path(str(cell)).suffix for cell in cells if cell)
    return _one(found, f'"{table.path}"')


def _item_words(names: Iterable[str], columns: Columns) -> list[str]:
    """Return the words of items that were said, else those that are columns."""
    said = [word for word in ITEMS if getattr(columns, word)]
    known = dict.fromkeys(word for kind in all_kinds() for word in kind.COLUMNS)
    there = set(names)
    return said or [word for word in known if word in there]


def _of_first(data: Any, columns: Columns) -> str:
    first = data[0] if isinstance(data, list | tuple) and data else None
    if isinstance(first, Mapping):
        words = _item_words(map(str, first), columns)
        claims = Counter(k.NAME for k in all_kinds() for word in words if word in k.COLUMNS)
        return _one(claims, "the first row") if claims else IN_MEMORY
    while isinstance(first, list | tuple) and first:  # a pair, or X of (X, y)
        first = first[0]
    if isinstance(first, os.PathLike):
        return _one(_claims([Path(first).suffix]), f'"{first}"')
    if isinstance(first, str):
        found = _claims([Path(first).suffix])
        found = found or Counter(k.NAME for k in all_kinds() if k.payload_of(first) is not None)
        return _one(found, f"{first[:40]!r}")
    return IN_MEMORY


def _claims(suffixes: Iterable[str]) -> Counter[str]:
    """Return how many files each kind takes by their endings; those without one are no evidence."""
    counts = Counter(suffix.lower().lstrip(".") for suffix in suffixes)
    kinds = {kind.NAME: sum(counts[each] for each in kind.SUFFIXES if each) for kind in all_kinds()}
    return Counter({name: count for name, count in kinds.items() if count})


def _one(claims: Counter[str], what: str) -> str:
    (name, count), *others = claims.most_common() or [("", 0)]
    if count and sum(n for _, n in others) <= _MOST_OTHERS * count:
        return name
    kinds = all_kinds()
    named = ", ".join(claims) or "none of " + ", ".join(kind.NAME for kind in kinds)
    return _ask(what, named, [kind for kind in kinds if kind.NAME in (claims or [kind.NAME])])


def _no_column(table: Table) -> UsageError:
    other = next((name for name in table.names if name not in ABOUT), "COLUMN")
    return UsageError(
        f'Which column of "{table.path}" holds the items can\'t be told.',
        f"Its columns are: {', '.join(table.names) or 'none'}.",
        f"A column called {' or '.join(ITEMS[:3])}, or one that is named.",
        f"Type, for example:  {option('text', other)}   or:  {option('image', other)}",
    )


def _ask(what: str, named: str, kinds: Iterable[Kind]) -> str:
    known = {kind.NAME: kind.DEFAULTS.backbone for kind in kinds if kind.DEFAULTS.backbone}
    shown = "   or ".join(f"{each} for {name}s" for name, each in known.items())
    raise UsageError(
        f"What kind of items is in {what} can't be told.",
        f"They may be: {named}.",
        f"A backbone, which says what it reads; or {option('text')} or {option('image')} with a "
        "column.",
        f"Name a backbone, for example:  {shown or 'SOURCE:NAME'}",
    )
