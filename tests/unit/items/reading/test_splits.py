from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutpoint.base.errors import DataError
from cutpoint.items.reading import Dataset, Item, assign_splits, has_splits, names_in


def dataset_of(*labels: str, groups: list[str] | None = None) -> Dataset:
    items = tuple(
        Item(f"{number:04d}", b"", label, groups[number] if groups else None)
        for number, label in enumerate(labels)
    )
    return Dataset("made", items, tuple(sorted(set(labels))))


def test_a_fifth_of_every_class_is_held_out() -> None:
    split = assign_splits(dataset_of(*["a"] * 50, *["b"] * 10))
    assert Counter((i.label, i.split) for i in split.items) == {
        ("a", "train"): 40,
        ("a", "test"): 10,
        ("b", "train"): 8,
        ("b", "test"): 2,
    }


@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 5))
def test_every_class_is_in_both_splits(n_a: int, n_b: int, seed: int) -> None:
    split = assign_splits(dataset_of(*["a"] * n_a, *["b"] * n_b), seed)
    assert {(item.label, item.split) for item in split.items} == {
        (label, name) for label in "ab" for name in ("train", "test")
    }


def test_new_items_move_few_of_the_old_ones() -> None:
    before = {i.key: i.split for i in assign_splits(dataset_of(*["a"] * 100)).items}
    after = {i.key: i.split for i in assign_splits(dataset_of(*["a"] * 105)).items}
    moved = [key for key in before if before[key] != after[key]]
    assert len(moved) <= 2  # a plain shuffle moves about 32 of 100


def test_the_order_of_the_items_does_not_matter_and_the_seed_does() -> None:
    dataset = dataset_of(*["a"] * 30, *["b"] * 30)
    turned = dataset.with_items(dataset.items[::-1])
    one = {item.key: item.split for item in assign_splits(dataset, 1).items}
    assert one == {item.key: item.split for item in assign_splits(turned, 1).items}
    assert one != {item.key: item.split for item in assign_splits(dataset, 2).items}


def test_groups_never_straddle() -> None:
    groups = [f"patient{number // 3}" for number in range(90)]
    split = assign_splits(dataset_of(*["a", "b", "a"] * 30, groups=groups))
    by_group = {
        item.group: {other.split for other in split.items if other.group == item.group}
        for item in split.items
    }
    assert all(len(names) == 1 for names in by_group.values())
    assert {item.split for item in split.items} == {"train", "test"}


@pytest.mark.parametrize(("n_groups", "per_group"), [(2, 20), (4, 3), (8, 1)])
def test_few_groups_are_parted_where_they_can_be(n_groups: int, per_group: int) -> None:
    groups = [f"g{number % n_groups}" for number in range(n_groups * per_group * 2)]
    labels = ["a" if number < n_groups * per_group else "b" for number in range(len(groups))]
    split = assign_splits(dataset_of(*labels, groups=groups))
    assert {(i.label, i.split) for i in split.items} == {
        (label, name) for label in "ab" for name in ("train", "test")
    }


def test_groups_of_one_class_each_are_parted() -> None:
    groups = [f"{label}{number % 2}" for label in "ab" for number in range(12)]
    split = assign_splits(dataset_of(*["a"] * 12, *["b"] * 12, groups=groups), seed=-1)
    assert {(i.label, i.split) for i in split.items} == {
        (label, name) for label in "ab" for name in ("train", "test")
    }


def test_groups_that_can_not_be_parted_are_told() -> None:
    with pytest.raises(DataError, match="2 groups can't be parted"):
        assign_splits(dataset_of("a", "a", "b", "b", groups=["1", "1", "2", "2"]))


def test_given_splits_are_kept_and_half_given_ones_refused() -> None:
    given_split = Dataset("made", (Item("a", b"", "x", None, "val"),), ("x",))
    assert assign_splits(given_split) is given_split
    mixed = Dataset("made", (*given_split.items, Item("b", b"", "x")), ("x",))
    with pytest.raises(DataError, match=r"1 of 2 items of .* have no split"):
        assign_splits(mixed)


def test_case_25_a_class_with_one_item_is_told_by_name() -> None:
    with pytest.raises(DataError, match="Class rare has one item only"):
        assign_splits(dataset_of(*["a"] * 5, "rare"))


def counts_of(dataset: Dataset, split: str) -> Counter[str]:
    return Counter(name for i in dataset.only(split).items for name in names_in(i.label))


@given(st.integers(0, 20))
def test_a_fifth_of_every_part_of_the_range_of_values_is_held_out(seed: int) -> None:
    values = [n**2 / 7 for n in range(200)]
    split = assign_splits(dataset_of(*map(str, values)), seed, "values")
    tests = sorted(float(item.label) for item in split.only("test").items)
    assert len(tests) == 40
    for start in range(8):  # quantiles of 25
        low, high = values[25 * start], values[25 * start + 24]
        assert sum(low <= value <= high for value in tests) == 5


@given(st.integers(0, 1000))
def test_each_of_several_labels_is_and_is_missing_on_both_sides_the_rare_ones_too(
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    shares = [0.5, 0.2, 0.05]
    rows = random.random((100, 3)) < shares
    rows[:2, 2], rows[2:4, 2] = True, False
    labels = [";".join(n for n, has in zip("abc", row, strict=True) if has) or ";" for row in rows]
    split = assign_splits(dataset_of(*labels), seed, "labels")
    assert 15 <= len(split.only("test")) <= 25
    all_counts, tests = Counter(np.repeat(list("abc"), rows.sum(axis=0))), counts_of(split, "test")
    for name in "abc":
        assert 0 < tests[name] < all_counts[name]
        assert abs(tests[name] - all_counts[name] / 5) <= max(2, all_counts[name] / 10)


def test_groups_of_values_and_labels_stay_whole() -> None:
    groups = [f"patient{number // 4}" for number in range(160)]
    values = dataset_of(*(f"{n % 40}.5" for n in range(160)), groups=groups)
    labels = dataset_of(*(["a;b", "a", "b", ";"] * 40), groups=groups)
    for split in (assign_splits(values, 0, "values"), assign_splits(labels, 0, "labels")):
        sides = {(item.group, item.split) for item in split.items}
        assert len(sides) == 40
        assert 24 <= len(split.only("test")) <= 40


def test_labels_on_one_item_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="Label rare is on one item only"):
        assign_splits(dataset_of("rare;a", *["a", "b"] * 10), 0, "labels")


def test_items_without_a_label_are_drawn_into_no_split() -> None:
    dataset = dataset_of(*["a", "b"] * 10)
    bare = tuple(Item(f"bare{n}", b"") for n in range(5))
    split = assign_splits(dataset.with_items((*dataset.items, *bare)))
    assert {item.split for item in split.items if item.label is None} == {None}
    assert split.counts() == {"train": 16, "test": 4, "unlabelled": 5}
    alone = assign_splits(dataset)
    assert [i.split for i in split.items[:20]] == [i.split for i in alone.items]


def test_a_split_of_some_items_is_a_split() -> None:
    """The rest is of none: data that says of a part what it is for has said so on purpose."""
    plain = dataset_of("a", "b", "a")
    some = plain.with_items((replace(plain.items[0], split="test"), *plain.items[1:]))
    assert [has_splits(plain), has_splits(some)] == [False, True]
