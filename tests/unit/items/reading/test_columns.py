"""What is given beside the items is used, or refused; never dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.base.tongue import in_shell
from cutpoint.items.reading import read_dataset
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.items.reading.columns import with_columns
from cutpoint.items.reading.labels import as_given

Maker = Callable[..., Path]


def manifest(folder: Path) -> Path:
    rows = "".join(f"red/{n:03d}.png,x\n" for n in range(2))
    (folder / "m.csv").write_text(f"path,label\n{rows}")
    return folder / "m.csv"


@pytest.mark.parametrize("column", ["labels", "groups", "splits"])
@pytest.mark.parametrize("n", [2, 3])
def test_a_sequence_beside_files_is_refused_whatever_its_length(
    colour_folder: Maker, column: str, n: int
) -> None:
    """The order of files is that of their keys, which no caller needs to have."""
    folder = colour_folder(per_class=2)
    for data in (folder, manifest(folder)):
        with pytest.raises(UsageError, match=rf"{column} can't be matched by position"):
            read_dataset(data, **{column: ["train"] * n})


def test_a_mapping_beside_files_goes_before_what_they_bring(colour_folder: Maker) -> None:
    folder = colour_folder(per_class=1)
    keys = ["red/000.png", "green/000.png", "blue/000.png"]
    groups = {Path(key): place % 2 for place, key in enumerate(keys)}
    labels = dict(zip(keys, [1, 0, 1], strict=True))
    splits = dict.fromkeys(keys, "training")
    found = read_dataset(folder, labels, groups, {**splits, "other.png": "test"})
    assert [(i.key, i.label, i.group, i.split) for i in found.items] == [
        ("blue/000.png", "1", "0", "train"),
        ("green/000.png", "0", "1", "train"),
        ("red/000.png", "1", "0", "train"),
    ]
    assert (found.classes, found.label_type) == (("0", "1"), "int")
    assert found.warnings == ("1 keys of splits name no item, such as other.png",)


def test_a_mapping_that_lacks_an_item_is_refused(colour_folder: Maker) -> None:
    folder = colour_folder(per_class=1)
    with pytest.raises(DataError, match=r"groups lacks 2 of 3 items") as caught:
        read_dataset(folder, groups={"red/000.png": "p1"})
    assert "blue/000.png" in caught.value.type_next


def test_a_mapping_serves_items_in_memory_too() -> None:
    found = read_arrays(["a.png", "b.png"], labels={"b.png": "y", "a.png": "x"})
    assert [item.label for item in found.items] == ["x", "y"]


def test_a_data_set_is_matched_by_position_as_its_order_is_known() -> None:
    dataset = read_arrays([b"0", b"1"])
    assert [i.group for i in read_dataset(dataset, groups=["p", "q"]).items] == ["p", "q"]
    with pytest.raises(ShapeError):
        read_dataset(dataset, groups=["p"])


@pytest.mark.parametrize(
    "labels",
    [np.eye(2), np.eye(2).tolist(), [[0, 1], [1]], "ab", 3, pandas.DataFrame({"x": [1, 2]})],
)
def test_what_is_no_column_is_refused(labels: object) -> None:
    with pytest.raises(ShapeError):
        read_arrays([b"0", b"1"], labels=labels)


def test_labels_of_other_types_are_refused() -> None:
    with pytest.raises(DataError, match="several types: int, str"):
        read_arrays([b"0", b"1"], labels=[1, "1"])
    with pytest.raises(DataError, match="is a date"):
        read_arrays([b"0"], labels=[pandas.Timestamp(0).date()])
    with pytest.raises(DataError, match="64 bits"):
        read_arrays([b"0"], labels=[2**70])


def test_nearly_equal_labels_in_memory_are_refused() -> None:
    with pytest.raises(DataError, match=r'"Cat" \(item item-000000\), "cat"'):
        read_arrays([b"0", b"1"], labels=["Cat", "cat"])


@pytest.mark.parametrize("labels", [[1, 0], [True, False], ["a", "1"], [0.5, 2.0]])
def test_labels_come_back_as_they_came(labels: list[object]) -> None:
    for given in (labels, np.array(labels), pandas.Series(labels)):
        found = read_arrays([b"0", b"1"], labels=given)
        back = [as_given(item.label, found.label_type) for item in found.items]
        assert back == labels
        assert [type(each) for each in back] == [type(each) for each in labels]


def test_options_for_folders_are_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Links are followed inside a folder"):
        read_dataset([b"0"], follow_links=True)
    (tmp_path / "m.csv").write_text("path\na\n")
    with pytest.raises(UsageError, match="Links are followed inside a folder"):
        read_dataset(tmp_path / "m.csv", follow_links=True)
    with pytest.raises(UsageError, match="have their keys"):
        read_dataset(tmp_path / "m.csv", keys=["a"])


def test_zero_has_one_spelling_whatever_its_sign() -> None:
    values = [0.0, -0.0, 1.0, 0.0, 1.0, np.float32(-0.0)]
    pixels = np.zeros((6, 16, 16, 3), np.uint8)
    found = read_dataset(pixels, labels=values)
    assert [item.label for item in found.items] == ["0.0", "0.0", "1.0", "0.0", "1.0", "0.0"]


def test_labels_that_differ_in_what_nobody_sees_are_refused() -> None:
    pixels = np.zeros((4, 16, 16, 3), np.uint8)
    with pytest.raises(DataError, match="unseen marks"):
        read_dataset(pixels, labels=["dog", "dog\u200b", "cat", "cat"])


def test_a_mapping_without_keys_says_so(colour_folder: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="no key was given"):
        read_dataset(colour_folder(per_class=2), labels={})


def test_a_key_as_splits_csv_writes_it_is_the_key() -> None:
    """A spreadsheet would run ``=1``, so it is written ``'=1``."""
    data = read_arrays([b"a", b"b"], keys=["=1/a.jpg", "b.jpg"])
    found = with_columns(data, groups={"'=1/a.jpg": "x", "b.jpg": "y"})
    assert [item.group for item in found.items] == ["x", "y"]
    assert not found.warnings


def test_one_number_in_two_spellings_is_told_of_labels_in_memory() -> None:
    data = read_arrays([b"a", b"b"])
    assert "1, 01 are one number" in with_columns(data, labels=["1", "01"]).warnings[0]
    assert not with_columns(data, labels=["1.5", "01.50"]).warnings  # values


def test_blank_text_is_no_label_no_group_and_no_split() -> None:
    """As in a manifest."""
    data = with_columns(read_arrays([b"a", b"b"]), ["", "x"], [" ", "g"], ["", "test"])
    first = data.items[0]
    assert (first.label, first.group, first.split, data.classes) == (None, None, None, ("x",))


def test_infinity_is_no_label() -> None:
    with pytest.raises(DataError, match=r"Label 1 .* is inf, which is no finite number"):
        with_columns(read_arrays([b"a", b"b"]), labels=[1.0, np.inf])


def test_in_a_shell_nobody_is_told_to_type_python(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"path": "a.png", "label": {"a": 1}}\n')
    with in_shell(), pytest.raises(DataError) as caught:
        read_dataset(tmp_path / "d.jsonl")
    assert "labels=" not in str(caught.value)


def test_the_key_in_a_hint_can_be_typed() -> None:
    key = '=1 "q".jpg'
    with pytest.raises(DataError) as caught:
        with_columns(read_arrays([b"a"], keys=[key]), groups={})
    typed = caught.value.type_next.partition("groups=")[2].replace("…, …", "1")
    assert eval(typed) == {key: 1}
