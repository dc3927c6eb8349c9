"""Tables are read as they are written, or refused with the line and what to type."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cutpoint.base.errors import DataError, UsageError
from cutpoint.items.reading.tables import Table, is_table, open_table, told_delimiter

ROWS = [
    {"text": 'He said "no", twice;\nthen\tleft', "label": "neg"},
    {"text": "naïve 日本 🙂", "label": "pos"},
]


def cells(table: Table) -> list[dict[str, Any]]:
    return [row for _, row in table.rows(table.names)]


def write(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, ROWS[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_marks_name_encodings_and_rows_tell_the_delimiter(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    assert cells(open_table(write(tmp_path / "a.CSV", encoding, delimiter))) == ROWS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "shift_jis", "cp1252"])
def test_an_encoding_without_a_mark_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("text\tlabel\nx y\tn\n".encode(encoding))
    assert cells(open_table(path, encoding)) == [{"text": "x y", "label": "n"}]


def test_a_byte_that_is_no_utf_8_is_told_with_its_line_and_what_to_type(tmp_path: Path) -> None:
    for name, text in (("a.csv", "text,label\nok,1\ncafé,2\n"), ("a.jsonl", '{}\n{}\n{"é": 1}\n')):
        (tmp_path / name).write_bytes(text.encode("cp1252"))
        with pytest.raises(DataError, match=r"Line 3: byte 0xe9 is no UTF-8") as raised:
            open_table(tmp_path / name)
        assert raised.value.type_next == "Say the encoding, for example:  encoding='cp1252'"
    (row, *_) = cells(open_table(tmp_path / "a.csv", "cp1252"))[1:]
    assert row["text"] == "café"


def test_what_can_not_be_an_encoding_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "utf-16")
    with pytest.raises(UsageError, match="begins with the mark of UTF-16"):
        open_table(path, "cp1252")
    for name in ("klingon", "rot13"):
        with pytest.raises(UsageError, match="No encoding of text has that name"):
            open_table(path, name)
    (tmp_path / "b.csv").write_bytes("text,label\nx,y\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="Line 1: a NUL"):
        open_table(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("text,label\ngood; cheap; fast,pos\nslow; dear; old,neg\n", ","),
        ("text;label\ngood, cheap, fast;pos\nslow, dear, old;neg\n", ";"),
        ('"text, as it came";label\n"a, b";x\n"c; d";y\n', ";"),
        ('text,label\n"a\nb;c;d",x\n', ","),
        ("text;a,b\nx, y, z;1\nu, v, w;2\n", ";"),
        ("text\nhello\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_what_parts_header_and_rows_alike(text: str, delimiter: str) -> None:
    assert told_delimiter(text) == delimiter


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('a,b\n"x\ny",1\n1,2,3\n', "Line 4: 3 cells, not 2"),
        ('a,b\n1,2\n\n"open,2\n3,4\n', "Line 4: unexpected end of data"),
        ('a,b\n1,2\n"x"y,2\n', "Line 3"),
    ],
)
def test_a_ragged_row_is_told_by_the_line_it_begins_in(
    tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=what):
        cells(open_table(tmp_path / "a.csv"))


def test_a_text_may_be_longer_than_python_s_own_limit_which_stays(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("text,label\n" + "word " * 40_000 + ",x\n")
    assert len(cells(open_table(tmp_path / "a.csv"))[0]["text"]) == 200_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".arrow", ".feather"])
def test_what_others_take_for_missing_is_text(tmp_path: Path, suffix: str) -> None:
    """pandas makes NaN of NA, null, None and nan; here they are what they are."""
    texts = ["NA", "null", "None", "nan", "", "N/A", "#N/A", "  "]
    path = tmp_path / f"a{suffix}"
    write_texts(path, texts)
    assert [row["text"] for row in cells(open_table(path))] == texts


def write_texts(path: Path, texts: list[str]) -> None:
    rows = [{"text": text, "label": "x"} for text in texts]
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        write_arrow(pyarrow.Table.from_pylist(rows), path)


def write_arrow(table: Any, path: Path) -> None:
    import pyarrow.feather
    import pyarrow.parquet

    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(table, str(path))
    else:  # as a stream
        with (
            pyarrow.OSFile(str(path), "wb") as file,
            pyarrow.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table)


def test_folders_with_an_equals_sign_make_no_columns(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "split=train"
    folder.mkdir()
    write_texts(folder / "a.parquet", ["x"])
    assert open_table(folder / "a.parquet").names == ("text", "label")


def test_arrow_says_its_own_encoding_and_a_broken_file_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    write_texts(tmp_path / "a.arrow", ["x"])
    with pytest.raises(UsageError, match="encoding can't be followed"):
        open_table(tmp_path / "a.arrow", "cp1252")
    (tmp_path / "b.feather").write_bytes(b"no more")
    with pytest.raises(DataError, match="no Arrow"):
        open_table(tmp_path / "b.feather")
    with pytest.raises(DataError, match="can't be read"):
        open_table(tmp_path / "absent.parquet")


def test_endings_are_told_in_any_case() -> None:
    assert is_table(Path("A.CSV"))
    assert is_table(Path("a.Feather"))
    assert not is_table(Path("a.xlsx"))
