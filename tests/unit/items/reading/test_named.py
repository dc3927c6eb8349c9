"""Columns by name: found, or refused with those there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import cutpoint as cp
from cutpoint.base.errors import DataError, ModalityError, UsageError
from cutpoint.items.reading import Columns, Dataset, ItemColumns, read_dataset
from cutpoint.items.reading.read import read_items


def read(path: Path, content: str, kind: str = "text", **columns: Any) -> Dataset:
    path.write_text(content)
    return read_dataset(path, kind=kind, columns=Columns(**columns))


def test_all_roles_may_be_named(tmp_path: Path) -> None:
    text = "review,stars,who,part,nr,mood\ngood,5,ann,train,r1,x\nbad,1,bob,test,r2,y\n"
    names = {"text": "review", "label": "stars", "group": "who", "split": "part", "id": "nr"}
    found = read(tmp_path / "m.csv", text, **names)
    (first, second) = found.items
    assert (first.key, first.payload, first.label) == ("r1", "good", "5")
    assert (first.group, first.split, second.split) == ("ann", "train", "test")
    assert found.warnings == ("columns not read: mood",)


def test_texts_without_a_name_are_in_the_column_text_and_keys_are_rows(tmp_path: Path) -> None:
    found = read(tmp_path / "m.csv", 'text,label\n"a\nb",x\n,y\nNA,x\n')
    assert [item.payload for item in found.items] == ["a\nb", "", "NA"]
    assert [item.key for item in found.items] == ["row-000001", "row-000002", "row-000003"]
    with pytest.raises(ModalityError, match="has no column `text` or `path`") as raised:
        read(tmp_path / "n.csv", "review,label\ngood,x\n")
    assert raised.value.got == "Its columns are: review, label."
    assert raised.value.type_next == "Type, for example:  text='review'"


def test_pairs_are_two_columns_and_files_of_text_one(tmp_path: Path) -> None:
    pair = read(tmp_path / "m.csv", "q,a,label\nwhy?,so,x\n", text="q", text_pair="a")
    assert pair.items[0].payload == ("why?", "so")
    own = read(tmp_path / "n.csv", "text,text_pair,label\nwhy?,so,x\n")
    assert own.items[0].payload == ("why?", "so")
    files = read(tmp_path / "o.csv", "path,label\nposts/1.txt,x\n")
    assert files.items[0].payload == tmp_path / "posts" / "1.txt"
    assert files.items[0].key == "posts/1.txt"


def test_a_column_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='There is no column "reviews"') as raised:
        read(tmp_path / "m.csv", "review,label\ngood,x\n", text="reviews")
    assert raised.value.got == "Its columns are: review, label."
    assert raised.value.would_do == 'One of them. Nearest: "review".'
    assert raised.value.type_next == "Type, for example:  text='review'"


def test_what_contradicts_itself_or_the_kind_is_refused(tmp_path: Path) -> None:
    text = "path,text,label\na.jpg,good,x\n"
    with pytest.raises(ModalityError, match="text names no column of items of kind image"):
        read(tmp_path / "m.csv", text, "image", text="text")
    with pytest.raises(UsageError, match="name the same column"):
        Columns.of("fit", {"text": "text", "label": "text"})
    with pytest.raises(UsageError, match="split, split_column say the same"):
        Columns.of("fit", {"split": "a", "split_column": "b"})
    with pytest.raises(UsageError, match="label is a list, which is no name") as raised:
        Columns.of("fit", {"label": ["x"]})
    assert "labels" in raised.value.got
    with pytest.raises(UsageError, match="dev can't be 'both'"):
        Columns.of("fit", {"dev": "both"})
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'colour'"):
        Columns.of("fit", {"colour": "x"})
    with pytest.raises(TypeError, match=r"predict\(\) got an unexpected keyword argument 'label'"):
        Columns.of("predict", {"label": "x"}, ItemColumns)


def test_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.txt").write_text("good")
    named = Columns(text="review")
    for data in (tmp_path, ["good"], [("good", "x")], read_dataset(["good"], kind="text")):
        with pytest.raises(UsageError, match="text can't be followed here"):
            read_dataset(data, kind="text", columns=named)
        with pytest.raises(UsageError, match="text can't be followed here"):
            read_items(data, kind="text", columns=named)


def test_rows_in_memory_have_columns_too() -> None:
    rows = [{"review": "good", "stars": 5, "who": "ann"}, {"review": "bad", "stars": 1, "who": "b"}]
    found = read_dataset(rows, kind="text", columns=Columns(text="review", label="stars"))
    assert [(i.payload, i.label) for i in found.items] == [("good", "5"), ("bad", "1")]
    assert found.warnings == ("columns not read: who",)
    with pytest.raises(UsageError, match='There is no column "revue"'):
        read_dataset(rows, kind="text", columns=Columns(text="revue"))
    with pytest.raises(UsageError, match="group can't be followed here"):
        read_dataset(rows, kind="text", columns=Columns(text="review", group="who"))
    pairs = [{"text": "why?", "text_pair": "so", "label": "x"}]
    assert read_dataset(pairs, kind="text").items[0].payload == ("why?", "so")


def test_a_cell_that_is_no_text_is_told_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"text": "a"}, {"text": ["a", "b", "c"]}])))
    with pytest.raises(DataError, match="Line 2: a list is no text"):
        read_dataset(path, kind="text")


def test_missing_labels_name_the_columns_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("text,stars\ngood,5\nbad,1\n")
    with pytest.raises(DataError, match="Labels are missing") as raised:
        cp.fit(tmp_path / "m.csv", backbone="fake:seed0", image="text", quiet=True)
    assert "Its columns not read: stars." in raised.value.got
    assert raised.value.type_next == "Type, for example:  label='stars'"


def test_items_to_describe_come_in_the_order_of_rows_whatever_labels_are(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("path,label,id\nb.txt,Cat,2\na.txt,cat,1\n")
    assert [item.key for item in read_items(path, kind="text")] == ["2", "1"]


def test_a_file_alone_has_a_text_a_line_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffgood\r\n\r\nNA\r\n".encode())
    said: list[str] = []
    items = read_items(str(path), said.append, "text")
    assert [(i.key, i.payload) for i in items] == [
        ("line-000001", "good"),
        ("line-000002", ""),
        ("line-000003", "NA"),
    ]
    assert said[0].startswith("t.txt is read as 3 items, one per line")
    assert [item.payload for item in read_items([path, path], kind="text")] == [path, path]
    with pytest.raises(UsageError, match='There is no file or folder "so good"'):
        read_items("so good", kind="text")
