"""Draw a test split where the data brings none."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cutpoint.base.errors import DataError
from cutpoint.base.progress import Reporter
from cutpoint.items.reading.items import Dataset, Item
from cutpoint.items.reading.targets import AUTO, labelled, names_in, strata, tell_kind

TEST_PARTS = 5  # one part in five is held out
_ITEM = ""  # counted beside labels, of which none is empty


def assign_splits(dataset: Dataset, seed: int = 0, kind: str = "classes") -> Dataset:
    """Return `dataset` with a split on every item that has a label.

    Splits that the data brings are kept. Otherwise a fifth is drawn for the test: of each class, or
    of each of the quantiles that values fall into, by a hash of seed and key, so that new items
    move few of the old ones; with groups, by scikit-learn's `StratifiedGroupKFold`, so that no
    group straddles. Of several labels an item, the rarest is dealt out first (Sechidis et al., "On
    the Stratification of Multi-label Data", 2011), whole groups at a time.

    Parameters
    ----------
    kind : {"classes", "labels", "values"}
        What labels are.
    """
    known = labelled(dataset)
    given = [item.split is not None for item in known.items or dataset.items]
    if all(given):
        return dataset
    if any(given):
        missing = next(item.key for item in known.items if item.split is None)
        raise DataError(
            f'{given.count(False)} of {len(given)} items of "{dataset.name}" have no split.',
            f'One of them is "{missing}"; the others have one.',
            "Either all items name their split or none does.",
            "Fill the column `split` with train, val or test, or drop it.",
        )
    test_keys = _test_keys(known, seed, kind)
    items = (
        replace(item, split="test" if item.key in test_keys else "train")
        if item.label is not None
        else item
        for item in dataset.items
    )
    return dataset.with_items(tuple(items))


def _test_keys(dataset: Dataset, seed: int, kind: str) -> set[str]:
    has_groups = any(item.group is not None for item in dataset.items)
    if kind == "labels":
        _refuse_lone_labels(dataset)
        return _dealt_test_keys(dataset, seed)
    names = strata(dataset, kind)
    if kind == "classes":
        _refuse_lone_items(dataset, Counter(names))
    return (_grouped_test_keys if has_groups else _hashed_test_keys)(dataset, names, seed)


def _hashed_test_keys(dataset: Dataset, names: Sequence[str], seed: int) -> set[str]:
    by_class: dict[str, list[Item]] = defaultdict(list)
    for name, item in zip(names, dataset.items, strict=True):
        by_class[name].append(item)
    chosen: set[str] = set()
    for items in by_class.values():
        n_test = max(1, round(len(items) / TEST_PARTS))
        ranked = sorted(items, key=lambda item: _rank(seed, item.key))
        chosen |= {item.key for item in ranked[:n_test]}
    return chosen


def _rank(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode(errors="surrogatepass")).hexdigest()


def _grouped_test_keys(dataset: Dataset, names: Sequence[str], seed: int) -> set[str]:
    """Return the keys of the first fold that leaves every class on both sides."""
    items = dataset.items
    groups = _groups(dataset)
    labels = np.array(names, dtype=str)
    most_parts = min(TEST_PARTS, len(set(groups)), min(Counter(names).values()))
    for n_parts in range(most_parts, 1, -1):
        folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed % 2**32)
        for train, test in folds.split(np.zeros(len(items)), labels, groups):
            if set(labels[train]) == set(labels[test]) == set(labels):
                return {items[place].key for place in test}
    raise _inseparable(dataset, len(set(groups)), "class")


def _groups(dataset: Dataset) -> list[str]:
    """Return each item's group; an item without one is a group of its own."""
    return [item.group if item.group is not None else f"\0{item.key}" for item in dataset.items]


def _dealt_test_keys(dataset: Dataset, seed: int) -> set[str]:
    """Return the keys of the groups dealt to the test, so that each label is on both sides."""
    members: dict[str, list[Item]] = defaultdict(list)
    for group, item in zip(_groups(dataset), dataset.items, strict=True):
        members[group].append(item)
    units = {}
    for group in sorted(members, key=lambda name: _rank(seed, name)):
        units[group] = Counter(name for item in members[group] for name in names_in(item.label))
        units[group][_ITEM] = len(members[group])
    found = {item.key for group in _dealt(units) for item in members[group]}
    sides: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for item in dataset.items:
        sides[item.key in found].update((*names_in(item.label), _ITEM))
    names = {*sides[True], *sides[False]} - {_ITEM}
    if any(not 0 < side[name] < side[_ITEM] for side in sides.values() for name in names):
        raise _inseparable(dataset, len(units), "label")
    return found


def _dealt(units: Mapping[str, Counter[str]]) -> Iterator[str]:
    """Yield the groups for the test: the rarest label first, each to the side that lacks it most.

    Parameters
    ----------
    units : mapping of group → how many of its items have each label, `_ITEM` all of them
        In the order in which they are dealt.
    """
    left = Counter[str]()
    for counts in units.values():
        left.update(counts)
    test = {name: max(1.0, count / TEST_PARTS) for name, count in left.items()}
    train = {name: count - test[name] for name, count in left.items()}
    waiting = dict(units)
    while waiting:
        names = [name for name in left if left[name] > 0 and name != _ITEM]
        rarest = min(names, key=lambda name: (left[name], name), default=_ITEM)
        for group in [group for group, counts in waiting.items() if counts[rarest]]:
            counts = waiting.pop(group)
            is_test = (test[rarest], test[_ITEM]) > (train[rarest], train[_ITEM])
            side = test if is_test else train
            for name, count in counts.items():
                side[name] -= count
                left[name] -= count
            if is_test:
                yield group


def _inseparable(dataset: Dataset, n_groups: int, what: str) -> DataError:
    return DataError(
        f'No test split of "{dataset.name}" can be drawn, groups kept whole.',
        f"{n_groups} groups can't be parted so that every {what} is on both sides.",
        f"At least two groups with items of each {what}.",
        "Name the splits yourself in the column `split`, or drop the column `group`.",
    )


def has_splits(dataset: Dataset) -> bool:
    """Say whether the data brings splits."""
    return any(item.split is not None for item in dataset.items)


def can_be_split(dataset: Dataset, kind: str = AUTO) -> bool:
    """Say whether the data brings splits, or has labels that allow one to be drawn.

    Parameters
    ----------
    kind : {"auto", "classes", "labels", "values"}
        What labels are; "auto": as `tell_kind` tells.
    """
    if has_splits(dataset):
        return True
    known = labelled(dataset)
    kind = tell_kind((item.label for item in known.items), kind, dataset.target).name
    if kind == "labels":
        return bool(known.items) and not _lone_labels(known)
    counts = Counter(strata(known, kind)) if known.items else Counter[str]()
    return min(counts.values(), default=0) > 1


def _refuse_lone_items(dataset: Dataset, counts: Counter[str]) -> None:
    lone = [label for label, count in sorted(counts.items()) if count < 2]
    if lone:
        raise DataError(
            f'No test split of "{dataset.name}" can be drawn from every class.',
            f"Class {', '.join(lone[:5])} has one item only.",
            "At least two items a class: one to learn from, one to test on.",
            f'Add items to "{lone[0]}", or name the splits yourself in folders train/ and test/.',
        )


def _lone_labels(dataset: Dataset) -> list[str]:
    """Return the labels that can't be, and be missing, on both sides of a split."""
    counts = Counter(name for item in dataset.items for name in names_in(item.label))
    return sorted(n for n, count in counts.items() if not 2 <= count <= len(dataset) - 2)


def _refuse_lone_labels(dataset: Dataset) -> None:
    lone = _lone_labels(dataset)
    if lone:
        raise DataError(
            f'No test split of "{dataset.name}" can be drawn in which every label is learned '
            "and judged.",
            f"Label {', '.join(lone[:5])} is on one item only, or on all but one, or on all.",
            "Each label on two items or more, and missing from two or more.",
            f'Drop "{lone[0]}", or add items.',
        )


def tell_idle_seed(dataset: Dataset, seed: int, reporter: Reporter) -> None:
    """Say so if a seed was named that draws nothing."""
    if seed and has_splits(dataset):
        reporter.say(f"Warning: seed {seed} draws no split, as the data brings its own")
