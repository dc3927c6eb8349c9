"""Splits that are files: a manifest for each, or the splits.csv that a fit has written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import cutpoint as cp
from cutpoint.base.errors import DataError, UsageError
from cutpoint.items.reading import APART, Columns, Dataset, read_dataset

Maker = Callable[..., Path]
TEXT = "text,label\ngood,pos\nbad,neg\n"


def folder(root: Path, *names: str, text: str = TEXT) -> Path:
    root.mkdir(exist_ok=True)
    for name in names:
        (root / name).write_text(text)
    return root


def splits(found: Dataset) -> Counter[str | None]:
    return Counter(item.split for item in found.items)


def read(root: Path, kind: str = "text", **columns: str) -> Dataset:
    return read_dataset(root, kind=kind, columns=Columns(**columns))


@pytest.mark.parametrize("dev", ["dev.csv", "val.CSV", "Validation.csv"])
def test_dev_joins_training_aloud_unless_it_is_to_judge(tmp_path: Path, dev: str) -> None:
    root = folder(tmp_path / "d", "train.csv", dev, "test.csv")
    joined = read(root)
    assert splits(joined) == {"train": 4, "test": 2}
    assert joined.warnings[0] == (
        f"{dev} joins training, and test.csv is scored; to score {dev} instead and leave test.csv "
        "unread:  dev='judge'"
    )
    judging = read(root, dev="judge")
    assert splits(judging) == {"train": 2, "val": 2}
    assert judging.warnings[0] == f"{dev} is scored: test.csv is not read"
    assert splits(read(root, dev=APART)) == {"train": 2, "val": 2, "test": 2}


def test_without_a_test_dev_is_scored_or_joins(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", "train.csv", "dev.csv")
    found = read(root)
    assert splits(found) == {"train": 2, "val": 2}
    assert found.warnings == (
        "dev.csv is scored: there is no test.*; to join it to training:  dev='train'",
    )
    assert splits(read(root, dev="train")) == {None: 4}


def test_keys_say_the_file_and_paths_are_of_the_folder(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "train.csv", "test.csv"))
    assert [item.key for item in found.items] == [
        f"{name}/row-00000{n}" for name in ("test", "train") for n in (1, 2)
    ]
    again = folder(tmp_path / "e", "train.csv", "test.csv", text="id,text,label\n7,good,x\n")
    assert [item.key for item in read(again).items] == ["test/7", "train/7"]
    same = folder(tmp_path / "f", "train.csv", "test.csv", text="path,label\na.txt,x\n")
    with pytest.raises(DataError, match=r'"a.txt" stands in "train.csv" and in "test.csv"'):
        read(same)


def test_what_is_two_data_sets_is_refused_and_a_folder_of_files_beside_is_not(
    colour_folder: Maker,
) -> None:
    root = colour_folder(per_class=1)
    folder(root, "train.csv", text="path,label\nred/000.png,x\nblue/000.png,y\n")
    with pytest.raises(UsageError, match="is two data sets"):
        read(root, "image")
    (root / "train.csv").rename(root / "training items.csv")
    assert len(read(root, "image")) == 3  # class folders, as ever
    alone = root.parent / "alone"
    alone.mkdir()
    root.rename(alone / "images")
    folder(alone, "train.csv", text="path,label\nimages/red/000.png,x\n")
    assert [item.key for item in read(alone, "image").items] == ["images/red/000.png"]


def test_two_of_a_split_and_columns_of_splits_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", "train.csv", "train.tsv")
    with pytest.raises(UsageError, match=r"of one split: train.csv, train.tsv"):
        read(root)
    (root / "train.tsv").unlink()
    with pytest.raises(UsageError, match="split_column can't be followed"):
        read(root, split="label")
    with pytest.raises(UsageError, match="dev can't be followed"):
        read(root / "train.csv", dev="judge")


def test_files_may_be_of_several_formats_but_labels_of_one_type(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", "train.csv")
    (root / "test.jsonl").write_text('{"text": "fine", "label": "pos"}\n')
    assert splits(read(root)) == {"train": 2, "test": 1}
    (root / "test.jsonl").write_text('{"text": "fine", "label": 1}\n')
    with pytest.raises(DataError, match="several types"):
        read(root)


def test_the_splits_of_a_fit_are_read_back(colour_folder: Maker, tmp_path: Path) -> None:
    root = colour_folder(per_class=6)
    (root / "red" / "broken.png").write_bytes(b"no picture")
    cp.fit(root, tmp_path / "m", "fake:seed0", store=tmp_path / "s", max_bad=0.1, quiet=True)
    found = read_dataset(root, splits=tmp_path / "m" / "splits.csv")
    drawn = {item.key: item.split for item in found.items}
    assert Counter(drawn.values()) == {"train": 16, "test": 3}
    assert drawn["red/broken.png"] == "train"
    assert found.warnings == ("1 items that were bad in that fit join training if they are whole",)
    again = cp.fit(
        root, None, "fake:seed0", store=tmp_path / "s", max_bad=0.1, quiet=True, seed=3,
        splits=str(tmp_path / "m" / "splits.csv"),
    )  # fmt: skip
    assert again.card.counts == {"train": 15, "test": 3}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("key,split\nred/000.png,train\nblue/000.png,test\n", '1 items of .* as "green/000.png"'),
        ("key,split\na,train\n", "None of its 1 keys is one of"),
        ("path,split\na,train\n", "It has no column key"),
        ("key,split\nred/000.png,train\nred/000.png,test\n", "stands there twice"),
    ],
)
def test_splits_of_other_data_are_refused(
    colour_folder: Maker, tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(DataError, match=what):
        read_dataset(colour_folder(per_class=1), splits=tmp_path / "splits.csv")


def test_labels_that_are_others_than_in_the_splits_are_told(
    colour_folder: Maker, tmp_path: Path
) -> None:
    keys = [f"{name}/000.png" for name in ("red", "green", "blue")]
    rows = "".join(f"{key},train,{key[:-8]}\n" for key in keys).replace(",green\n", ",verde\n")
    (tmp_path / "splits.csv").write_text(f"key,split,label\n{rows}")
    found = read_dataset(colour_folder(per_class=1), splits=tmp_path / "splits.csv")
    (told,) = found.warnings
    assert told.endswith('such as that of "green/000.png": green, not verde')
