from __future__ import annotations

import re

import pytest

from cutpoint.base.errors import DataError
from cutpoint.items.reading import (
    Dataset,
    Item,
    check_for_fit,
    conflicting_labels,
    cross_split_duplicates,
    labelled,
    refuse_unlearnable,
    unlabelled_line,
    without_unlabelled_splits,
)
from cutpoint.items.reading.arrays import read_arrays


def dataset_of(*rows: tuple[str | None, str | None, str | None]) -> Dataset:
    items = tuple(
        Item(f"{number:02d}", b"", label, group, split)
        for number, (label, split, group) in enumerate(rows)
    )
    return Dataset("made", items, ())


def test_case_20_equal_bytes_across_splits_are_found() -> None:
    dataset = dataset_of(("a", "train", None), ("a", "test", None), ("b", "train", None))
    digests = {"00": "same", "01": "same", "02": "same"}
    assert cross_split_duplicates(dataset, digests) == [("00", "01", "02")]
    assert cross_split_duplicates(dataset, {"00": "x", "01": "y", "02": "x"}) == []


def test_case_24_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="All 2 items are of one class: a"):
        refuse_unlearnable(dataset_of(("a", None, None), ("a", None, None)))


def test_items_without_labels_are_counted_and_data_without_any_is_refused() -> None:
    some = dataset_of(("a", None, None), ("b", None, None), (None, None, None))
    refuse_unlearnable(some)
    assert unlabelled_line(some) == "1 item has no label: kept, not learned from"
    assert unlabelled_line(labelled(some)) == ""
    with pytest.raises(DataError, match="None of its 2 items has one"):
        refuse_unlearnable(dataset_of((None, None, None), (None, None, None)))
    with pytest.raises(DataError, match="Its one item is of one class: a"):
        refuse_unlearnable(dataset_of(("a", None, None), (None, None, None)))


def test_an_item_without_a_label_is_in_no_split() -> None:
    rows = [("a", "train", None), (None, "test", None), ("b", "test", None)]
    splits = [item.split for item in without_unlabelled_splits(dataset_of(*rows)).items]
    assert splits == ["train", None, "test"]


def test_a_twin_in_no_split_leaks_nothing() -> None:
    dataset = dataset_of(("a", "train", None), (None, None, None))
    assert cross_split_duplicates(dataset, {"00": "same", "01": "same"}) == []


@pytest.mark.parametrize(
    "labels", [["a;b", "b", "a;b", "b"], ["a", "a", "a", "b"], ["a", "b", "b", "c"]]
)
def test_labels_that_training_items_all_have_or_lack_are_refused(labels: list[str]) -> None:
    splits = ["train", "train", "test", "test"]
    dataset = dataset_of(*((label, s, None) for label, s in zip(labels, splits, strict=True)))
    with pytest.raises(DataError, match="can't be learned"):
        check_for_fit(dataset, kind="labels")


def test_a_split_of_one_value_is_refused() -> None:
    rows = [
        ("1.5", "train", None),
        ("2", "train", None),
        ("3", "test", None),
        ("3.0", "test", None),
    ]
    with pytest.raises(DataError, match='Split test of "made" holds one value alone: 3'):
        check_for_fit(dataset_of(*rows), kind="values")
    check_for_fit(dataset_of(*rows, ("4", "test", None)), kind="values")


def test_text_among_values_is_refused_with_what_to_type() -> None:
    dataset = dataset_of(("1.5", None, None), ("tall", None, None))
    with pytest.raises(DataError, match=r"(?s)tall.*kind='classes'"):
        refuse_unlearnable(dataset, "values")


def test_case_27_class_sets_that_differ_are_listed() -> None:
    rows = [("a", "train", None), ("b", "train", None), ("a", "test", None), ("c", "test", None)]
    with pytest.raises(DataError, match="test lacks b and has c that train lacks"):
        check_for_fit(dataset_of(*rows))


def test_case_29_a_group_in_two_splits_is_refused_unless_waived() -> None:
    rows = [("a", "train", "p1"), ("b", "train", None), ("a", "test", "p1"), ("b", "test", None)]
    with pytest.raises(DataError, match='One of them is "p1"'):
        check_for_fit(dataset_of(*rows))
    check_for_fit(dataset_of(*rows), allow_group_overlap=True)


def test_data_with_a_training_split_alone_is_refused() -> None:
    with pytest.raises(DataError, match="nothing is left to score"):
        check_for_fit(dataset_of(("a", "train", None), ("b", "train", None)))


def test_data_without_a_training_split_is_refused() -> None:
    with pytest.raises(DataError, match="is for training"):
        check_for_fit(dataset_of(("a", "test", None), ("b", "test", None)))


def test_equal_bytes_under_two_labels_are_found() -> None:
    dataset = dataset_of(("a", None, None), ("b", None, None), ("a", None, None))
    digests = {"00": "same", "01": "same", "02": "other"}
    assert conflicting_labels(dataset, digests) == [(("00", "a"), ("01", "b"))]
    assert conflicting_labels(dataset, {"00": "x", "01": "y", "02": "x"}) == []


def test_whoever_has_no_files_is_told_nothing_of_folders() -> None:
    data = read_arrays([b"a", b"b", b"c"], ["x", "x", "x"])
    with pytest.raises(DataError, match="are of one class"):
        refuse_unlearnable(data)
    for labels, splits in ((["x", "y", "x"], ["train"] * 3), (["x"] * 3, ["test"] * 3)):
        found = read_arrays([b"a", b"b", b"c"], labels, splits=splits)
        with pytest.raises(DataError) as caught:
            check_for_fit(found)
        assert not re.search(r"older|DATA", str(caught.value))
    with pytest.raises(DataError, match=r"labels=\["):
        refuse_unlearnable(read_arrays([b"a"]))
