from __future__ import annotations

from dataclasses import replace

import pytest

from cutpoint.base.errors import DataError
from cutpoint.items.reading import (
    Dataset,
    Item,
    check_for_fit,
    conflicting_labels,
    cross_split_duplicates,
    refuse_unlearnable,
)


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


def test_equal_bytes_under_two_labels_are_found() -> None:
    dataset = dataset_of(("a", None, None), ("b", None, None), ("a", None, None))
    digests = {"00": "same", "01": "same", "02": "other"}
    assert conflicting_labels(dataset, digests) == [(("00", "a"), ("01", "b"))]
    assert conflicting_labels(dataset, {"00": "x", "01": "y", "02": "x"}) == []


@pytest.mark.parametrize("n_alike", [1, 2])
def test_numbers_that_look_like_a_target_are_refused(n_alike: int) -> None:
    labels = [f"{n / 4}" for n in range(8)] * n_alike
    dataset = dataset_of(*((label, None, None) for label in labels))
    if n_alike == 1:  # few are alike, whatever they came as
        with pytest.raises(DataError, match="--kind values"):
            refuse_unlearnable(dataset)
    else:  # folders may be called so
        refuse_unlearnable(dataset)
    with pytest.raises(DataError, match=r"such as 0.25: a target"):
        refuse_unlearnable(replace(dataset, label_type="float"))


def test_whole_floats_are_classes() -> None:
    dataset = dataset_of(("0.0", None, None), ("1.0", None, None))
    refuse_unlearnable(replace(dataset, label_type="float"))
