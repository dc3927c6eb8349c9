"""Draw a test split where the data brings none."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cutpoint.base.errors import DataError
from cutpoint.base.progress import Reporter
from cutpoint.items.reading.items import Dataset, Item

TEST_PARTS = 5  # one part in five is held out


def assign_splits(dataset: Dataset, seed: int = 0) -> Dataset:
    """Return `dataset` with a split on every item.

    Splits that the data brings are kept. Otherwise a fifth of each class is drawn for the test:
    by a hash of seed and key, so that new items move few of the old ones; with groups, by
    scikit-learn's `StratifiedGroupKFold`, so that no group straddles.
    """
    given = [item.split is not None for item in dataset.items]
    if all(given):
        return dataset
    if any(given):
        missing = next(item.key for item in dataset.items if item.split is None)
        raise DataError(
            f'The splits of "{dataset.name}" were to be read.',
            f'{given.count(False)} of {len(given)} items have none, such as "{missing}".',
            "Either all items name their split or none does.",
            "Fill the column `split` with train, val or test, or drop it.",
        )
    _refuse_lone_items(dataset)
    has_groups = any(item.group is not None for item in dataset.items)
    test_keys = (
        _grouped_test_keys(dataset, seed) if has_groups else _hashed_test_keys(dataset, seed)
    )
    items = (
        replace(item, split="test" if item.key in test_keys else "train") for item in dataset.items
    )
    return dataset.with_items(tuple(items))


def _hashed_test_keys(dataset: Dataset, seed: int) -> set[str]:
    by_class: dict[str | None, list[Item]] = defaultdict(list)
    for item in dataset.items:
        by_class[item.label].append(item)
    chosen: set[str] = set()
    for items in by_class.values():
        n_test = max(1, round(len(items) / TEST_PARTS))
        ranked = sorted(items, key=lambda item: _rank(seed, item.key))
        chosen |= {item.key for item in ranked[:n_test]}
    return chosen


def _rank(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode(errors="surrogatepass")).hexdigest()


def _grouped_test_keys(dataset: Dataset, seed: int) -> set[str]:
    """Return the keys of the first fold that leaves every class on both sides."""
    items = dataset.items
    # An item without a group is a group of its own.
    groups = [item.group if item.group is not None else f"\0{item.key}" for item in items]
    labels = np.array([item.label for item in items], dtype=str)
    most_parts = min(TEST_PARTS, len(set(groups)), min(Counter(labels).values()))
    for n_parts in range(most_parts, 1, -1):
        folds = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed % 2**32)
        for train, test in folds.split(np.zeros(len(items)), labels, groups):
            if set(labels[train]) == set(labels[test]) == set(labels):
                return {items[place].key for place in test}
    raise DataError(
        f'A test split of "{dataset.name}" was to be drawn, groups kept whole.',
        f"{len(set(groups))} groups can't be parted so that every class is on both sides.",
        "At least two groups with items of each class.",
        "Name the splits yourself in the column `split`, or drop the column `group`.",
    )


def has_splits(dataset: Dataset) -> bool:
    """Say whether the data brings splits."""
    return any(item.split is not None for item in dataset.items)


def can_be_split(dataset: Dataset) -> bool:
    """Say whether the data brings splits, or has labels that allow one to be drawn."""
    counts = Counter(item.label for item in dataset.items)
    return has_splits(dataset) or (None not in counts and min(counts.values(), default=0) > 1)


def _refuse_lone_items(dataset: Dataset) -> None:
    counts: dict[str | None, int] = defaultdict(int)
    for item in dataset.items:
        counts[item.label] += 1
    lone = [str(label) for label, count in sorted(counts.items(), key=str) if count < 2]
    if lone:
        raise DataError(
            f'A test split of "{dataset.name}" was to be drawn from every class.',
            f"Class {', '.join(lone[:5])} has one item only.",
            "At least two items a class: one to learn from, one to test on.",
            f'Add items to "{lone[0]}", or name the splits yourself in folders train/ and test/.',
        )


def tell_idle_seed(dataset: Dataset, seed: int, reporter: Reporter) -> None:
    """Say so if a seed was named that draws nothing."""
    if seed and has_splits(dataset):
        reporter.say(f"Warning: seed {seed} draws no split, as the data brings its own")
