"""Tables in files, CSV, TSV, JSON lines, Parquet, Arrow and Feather: rows of cells by column."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cutpoint.base.errors import DataError, MissingExtra, UsageError
from cutpoint.base.spec import parse_json
from cutpoint.base.tongue import option

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather")
_ARROW = (".parquet", ".arrow", ".feather")
_JSON = (".jsonl", ".ndjson")
_DELIMITERS = ",;\t|"
_N_TRIED = 200  # rows by which a delimiter is judged
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNED = {"utf-8": "utf-8-sig"}  # takes the mark off, if there is one

Row = tuple[int, dict[str, Any]]
"""Where it begins in the file, a line or a row counted from 1; and its cells by column."""


@dataclass(frozen=True)
class Table:
    """A file's columns, and what reads its rows.

    Attributes
    ----------
    path : Path
    names : tuple of str
    rows : callable
        Given the columns that are wanted, yields the rows in their order.
    """

    path: Path
    names: tuple[str, ...]
    rows: Callable[[Collection[str]], Iterator[Row]]


def is_table(path: Path) -> bool:
    """Say whether a file is a table by its name, in any case."""
    return path.suffix.lower() in SUFFIXES


def open_table(path: Path, encoding: str = "") -> Table:
    """Return the table in a file.

    Parameters
    ----------
    path : Path
    encoding : str
        That of text; by default UTF-8, or what a mark at its start says.

    Raises
    ------
    DataError
        If the file can't be read, with the line.
    UsageError
        If no encoding has that name, or the file has none.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in _ARROW:
            _refuse_encoding(path, encoding)
            return _arrow(path)
        text = read_text(path, encoding)
    except OSError as error:
        raise bad_line(path, 1, f"can't be read ({error.strerror or error})") from error
    return _json(path, text) if suffix in _JSON else _csv(path, text)


def bad_line(path: Path, line: int, what: str, remedy: str = "") -> DataError:
    """Return the error of one line or row of a table."""
    where = "Row" if path.suffix.lower() in _ARROW else "Line"
    return DataError(
        f'"{path}" can\'t be read.',
        f"{where} {line}: {what}.",
        "Every line has the columns of the header.",
        remedy or f"Look at it with:  {look_at(path, line)}",
    )


def look_at(path: Path, *lines: int) -> str:
    """Return what shows lines of a table; of a file without lines, that it is there."""
    if path.suffix.lower() in _ARROW:
        return f"ls -l {shlex.quote(str(path))}"
    return shlex.join(["sed", "-n", ";".join(f"{line}p" for line in lines), str(path)])


def read_text(path: Path, encoding: str = "") -> str:
    """Return the text of a file, decoded as `open_table` does; raise `DataError` with the line."""
    data = path.read_bytes()
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    named = _known(encoding) if encoding else marked or "utf-8"
    if marked and encoding and not named.startswith(marked):
        raise UsageError(
            f'"{path}" is not in {encoding}: it begins with the mark of {marked.upper()}.',
            "Read otherwise, its first column would have another name.",
            "The encoding that the mark says, which is found without a word.",
            f"Leave out {option('encoding')}",
        )
    try:
        text = data.decode(_SIGNED.get(named, named))
    except UnicodeDecodeError as error:
        raise _undecodable(path, data, named, error) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise bad_line(
            path,
            line,
            "a NUL, which no text holds; UTF-16 without its mark, perhaps",
            f"Type, for example:  {option('encoding', 'utf-16-le')}",
        )
    return text


def _known(encoding: str) -> str:
    """Return Python's name of an encoding of text."""
    try:
        found = codecs.lookup(encoding)
        "".encode(encoding)  # what is no encoding of text raises LookupError, too
    except LookupError as error:
        raise UsageError(
            f"{option('encoding')} can't be {encoding!r}.",
            "No encoding of text has that name.",
            "utf-8, utf-16, cp1252, latin-1, shift_jis and others that Python knows.",
            f"Type, for example:  {option('encoding', 'cp1252')}",
        ) from error
    return found.name


def _undecodable(path: Path, data: bytes, named: str, error: UnicodeDecodeError) -> DataError:
    line = data.count(b"\n", 0, error.start) + 1
    shown = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "its end"
    other = "utf-8" if named == "cp1252" else "cp1252"
    return bad_line(
        path,
        line,
        f"{shown} is no {named.upper()}",
        f"Say the encoding, for example:  {option('encoding', other)}",
    )


def _refuse_encoding(path: Path, encoding: str) -> None:
    if encoding:
        raise UsageError(
            f'{option("encoding")} can\'t be followed for "{path}".',
            "Such a file says itself how its texts are encoded.",
            "CSV, TSV or JSON lines.",
            f"Leave out {option('encoding')}",
        )


def _csv(path: Path, text: str) -> Table:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else told_delimiter(text)
    (_, header), *lines = _csv_lines(path, text, delimiter) or [(1, [])]
    names = tuple(name.strip() for name in header)
    _refuse_repeated(path, names)

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        for start, cells in lines:
            if len(cells) != len(names):
                raise bad_line(path, start, f"{len(cells)} cells, not {len(names)}")
            found = zip(names, cells, strict=True)
            yield start, {name: cell for name, cell in found if name in wanted}

    return Table(path, names, rows)


def told_delimiter(text: str) -> str:
    """Return what stands between the cells of a CSV file, as its first rows tell.

    It is the one, among those that part the header, by which most rows are as long as the header;
    texts with commas within quotes or without, and headers with other marks, mislead nobody.

    Examples
    --------
    >>> told_delimiter("text;label\\ngood, cheap;pos\\nslow, dear;neg\\n")
    ';'
    """

    def judged(delimiter: str) -> tuple[int, int]:
        rows = _tried(text, delimiter)
        width = len(rows[0]) if rows else 0
        alike = sum(len(row) == width for row in rows[1:])
        return (alike if width > 1 else -1, width)

    return max(_DELIMITERS, key=judged)  # the first, a comma, if all are alike


def _tried(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: list[list[str]] = []
    with _long_cells(), contextlib.suppress(csv.Error):
        found += islice(filter(None, reader), _N_TRIED)
    return found


def _csv_lines(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return each row that is not blank with the line it begins in; ends of lines may be quoted."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found, start = [], 1
    with _long_cells():
        try:
            for cells in reader:
                if cells:
                    found.append((start, cells))
                start = reader.line_num + 1
        except csv.Error as error:
            raise bad_line(path, start, str(error)) from error
    return found


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    """Take texts of any length; Python's own limit is 131,072 characters, and for all readers."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_repeated(path: Path, names: Collection[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        count = Counter(names)[twice[0]]
        raise bad_line(path, 1, f'column "{twice[0]}" is there {count} times')


def _json(path: Path, text: str) -> Table:
    found = list(_json_rows(path, text))
    names = tuple(dict.fromkeys(name for _, cells in found for name in cells))

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        for line, cells in found:
            yield line, {name: cell for name, cell in cells.items() if name in wanted}

    return Table(path, names, rows)


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            cells = parse_json(line)
        except ValueError as error:
            raise bad_line(path, number, str(error)) from error
        if not isinstance(cells, dict):
            raise bad_line(path, number, "not a JSON object")
        yield number, cells


def _arrow(path: Path) -> Table:
    what = "Parquet" if path.suffix.lower() == ".parquet" else "Arrow"
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtra(f'The {what} manifest "{path}"', "parquet") from error
    try:
        table = _arrow_table(path)
    except FileNotFoundError:
        raise
    except (OSError, pyarrow.ArrowException) as error:
        raise bad_line(path, 1, f"no {what} ({error})") from error
    names = tuple(map(str, table.column_names))
    _refuse_repeated(path, names)

    def rows(wanted: Collection[str]) -> Iterator[Row]:
        kept = table.select([name for name in names if name in wanted])
        columns = [kept.column(place).to_pylist() for place in range(kept.num_columns)]
        for row in range(table.num_rows):
            cells = (column[row] for column in columns)
            yield row + 1, dict(zip(kept.column_names, cells, strict=True))

    return Table(path, names, rows)


def _arrow_table(path: Path) -> Any:
    """Return the table of a Parquet file, or of Arrow's own as a file (Feather) or a stream."""
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        # `read_table` would make columns of folders called `name=value`, too.
        return pyarrow.parquet.ParquetFile(path).read()
    try:
        return pyarrow.feather.read_table(path)
    except pyarrow.ArrowInvalid:
        with pyarrow.OSFile(str(path)) as file:
            return pyarrow.ipc.open_stream(file).read_all()
