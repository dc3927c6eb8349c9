from __future__ import annotations

import json
from pathlib import Path

import pytest

from cutpoint.base.errors import DataError, ModalityError
from cutpoint.items.reading import read_dataset
from cutpoint.items.reading.manifest import read_manifest
from cutpoint.items.reading.tables import look_at

ROWS = [
    {"path": "img/b.png", "label": "dog", "split": "train", "group": "g1"},
    {"path": "img/a.png", "label": "cat", "split": "test", "group": "g2"},
]


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def write_as(kind: str, folder: Path) -> Path:
    path = folder / f"items.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    elif kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        mark = "\t" if kind == "tsv" else ","
        lines = [mark.join(ROWS[0])] + [mark.join(row.values()) for row in ROWS]
        path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_manifest_gives_the_same_items(tmp_path: Path, kind: str) -> None:
    first, second = read_manifest(write_as(kind, tmp_path)).items
    assert (first.key, first.label, first.split, first.group) == ("img/a.png", "cat", "test", "g2")
    assert second.key == "img/b.png"
    assert first.payload == tmp_path / "img" / "a.png"


def test_an_id_is_the_key(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", "path,label,id\na.png,x,first\na.png,x,second\n")
    assert [item.key for item in read_manifest(manifest).items] == ["first", "second"]


def test_semicolons_quotes_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b'\xef\xbb\xbfpath;label\n"a;b.png";"two\nlines"\n')
    (item,) = read_manifest(tmp_path / "m.csv").items
    assert (item.key, item.label) == ("a;b.png", "two\nlines")


def test_case_28_a_name_that_stands_twice_is_told_with_its_lines(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", "path,label\na.png,x\nb.png,x\n./a.png,y\n")
    with pytest.raises(DataError, match="lines 2 and 4"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("m.csv", "path,label\na.png,x,extra\n", "Line 2: 3 cells, not 2"),
        ("m.csv", "path,label\na.png\n", "Line 2: 1 cells, not 2"),
        ("m.csv", 'path,label\n"a.png,x\n', "Line 2"),
        ("m.csv", "path,label,split\na.png,x,holdout\n", 'Line 2: split "holdout"'),
        ("m.jsonl", '{"path": "a"}\n{oops\n', "Line 2"),
        ("m.jsonl", "[1]\n", "Line 1: not a JSON object"),
        ("m.jsonl", '{"path": "a", "label": "x", "label": "y"}\n', "Line 1: said twice: label"),
        ("m.csv", "path,label\n,x\n", "Line 2: the path is empty"),
        ("m.jsonl", b'{"path": "caf\xe9"}\n', "Line 1"),
        ("m.parquet", b"PAR1 no more", "no Parquet"),
    ],
)
def test_a_bad_line_is_told_by_number(
    tmp_path: Path, name: str, text: str | bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=what):
        read_manifest(tmp_path / name)


def test_a_table_of_sentences_is_no_image_manifest(tmp_path: Path) -> None:
    manifest = write_csv(tmp_path / "m.csv", "text,label\nhello,x\n")
    with pytest.raises(ModalityError, match="has no column `path`"):
        read_manifest(manifest)


@pytest.mark.parametrize("twins", [("Cat", "cat"), (" dog ", "dog"), ("e\u0301", "É")])
def test_labels_that_are_nearly_one_are_refused_with_their_lines(
    tmp_path: Path, twins: tuple[str, str]
) -> None:
    path = write_csv(tmp_path / "m.csv", f"path,label\na,{twins[0]}\nb,fox\nc,{twins[1]}\n")
    with pytest.raises(DataError, match=r"\(line 2\), .* \(line 4\)"):
        read_manifest(path)


def test_a_blank_label_is_none_and_spaces_around_groups_and_columns_are_dropped(
    tmp_path: Path,
) -> None:
    path = write_csv(tmp_path / "m.csv", "path, label , group\na,  ,p1 \nb,x, p1\n")
    assert [(i.label, i.group) for i in read_manifest(path).items] == [(None, "p1"), ("x", "p1")]


@pytest.mark.parametrize(("column", "meant"), [("groups", "group"), ("Label", "label")])
def test_a_column_that_is_nearly_one_that_is_read_is_refused(
    tmp_path: Path, column: str, meant: str
) -> None:
    path = write_csv(tmp_path / "m.csv", f"path,{column}\na,1\n")
    with pytest.raises(DataError, match=f"rename the column to:  {meant}"):
        read_manifest(path)


def test_columns_that_are_not_read_are_told_and_repeated_ones_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", "path,label,age\na,x,3\n")
    assert read_manifest(path).warnings == ("columns not read: age",)
    path = write_csv(tmp_path / "n.csv", "path,label,label\na,x,y\n")
    with pytest.raises(DataError, match='column "label" is there 2 times'):
        read_manifest(path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_whole_numbers_and_bools_keep_their_type(tmp_path: Path, kind: str) -> None:
    for labels, name in (([3, 1], "int"), ([True, False], "bool"), (["3", "1"], "str")):
        rows = [{"path": p, "label": v} for p, v in zip("ab", labels, strict=True)]
        path = tmp_path / f"m.{kind}"
        if kind == "jsonl":
            path.write_text("\n".join(map(json.dumps, rows)))
        else:
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        dataset = read_manifest(path)
        assert dataset.label_type == name
        assert [item.label for item in dataset.items] == [str(label) for label in labels]


def test_labels_of_several_types_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"path": "a", "label": 1}\n{"path": "b", "label": "1"}')
    with pytest.raises(DataError, match="several types: int, str"):
        read_manifest(path)


def test_labels_that_are_one_number_and_several_classes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path,label\na.png,1\nb.png,1.0\nc.png,01\nd.png,2\ne.png,nan\n")
    (told,) = read_manifest(path).warnings
    assert told.startswith("labels 1, 1.0, 01 are one number and 3 classes")
    path.write_text("path,label\na.png,1\nb.png,2\nc.png,x\n")
    assert read_manifest(path).warnings == ()


def test_groups_that_are_a_number_here_and_text_there_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rows = [
        {"path": f"{n}.png", "label": "a", "group": group} for n, group in enumerate([1, "1", 2])
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    dataset = read_manifest(path)
    assert [item.group for item in dataset.items] == ["1", "1", "2"]
    (told,) = dataset.warnings
    assert told == "group 1 is a number in some lines and text in others: taken as one group"


def test_files_outside_the_manifests_folder_are_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = f"path,label\n../a.png,x\n{tmp_path}/b.png,y\nc.png,y\n"
    (tmp_path / "in" / "d.csv").write_text(rows)
    told = read_dataset(tmp_path / "in" / "d.csv").warnings
    assert told == ("2 files lie outside the manifest's folder, such as ../a.png",)


def test_rows_of_a_file_without_lines_are_not_looked_at_by_line() -> None:
    assert look_at(Path("a b.parquet"), 3) == "ls -l 'a b.parquet'"
    assert look_at(Path("d.csv"), 3, 5) == "sed -n '3p;5p' d.csv"
