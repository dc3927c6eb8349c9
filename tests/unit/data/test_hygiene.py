from __future__ import annotations

import pytest

from cutpoint.data import Dataset, Item, check_for_fit, cross_split_duplicates, refuse_unlearnable
from cutpoint.errors import DataError


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


def test_items_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 items have no label"):
        refuse_unlearnable(dataset_of(("a", None, None), (None, None, None)))


def test_case_27_class_sets_that_differ_are_listed() -> None:
    rows = [("a", "train", None), ("b", "train", None), ("a", "test", None), ("c", "test", None)]
    with pytest.raises(DataError, match="test lacks b and has c that train lacks"):
        check_for_fit(dataset_of(*rows))


def test_case_29_a_group_in_two_splits_is_refused_unless_waived() -> None:
    rows = [("a", "train", "p1"), ("b", "train", None), ("a", "test", "p1"), ("b", "test", None)]
    with pytest.raises(DataError, match='such as "p1"'):
        check_for_fit(dataset_of(*rows))
    check_for_fit(dataset_of(*rows), allow_group_overlap=True)


def test_data_with_a_training_split_alone_is_refused() -> None:
    with pytest.raises(DataError, match="nothing is left to score"):
        check_for_fit(dataset_of(("a", "train", None), ("b", "train", None)))


def test_data_without_a_training_split_is_refused() -> None:
    with pytest.raises(DataError, match="none is for training"):
        check_for_fit(dataset_of(("a", "test", None), ("b", "test", None)))
