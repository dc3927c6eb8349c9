"""What would make a score meaningless: found before anything expensive starts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from cutpoint.base.errors import DataError
from cutpoint.base.text import counted
from cutpoint.base.tongue import option
from cutpoint.items.reading.items import Dataset
from cutpoint.items.reading.targets import labelled, names_in, number_in, values_of


def refuse_unlearnable(dataset: Dataset, kind: str = "classes") -> None:
    """Raise `DataError` unless some items have labels, and those are of two kinds or more."""
    known = labelled(dataset)
    if not known.items:
        raise _bare(dataset, f"None of its {len(dataset)} items has one")
    if kind == "values":
        values_of(dataset.name, [item.label for item in known.items])
    if len({item.label for item in known.items}) < 2:
        raise _all_alike(known, kind)


def check_for_fit(
    dataset: Dataset, allow_group_overlap: bool = False, kind: str = "classes"
) -> None:
    """Raise `DataError` unless a head fitted on the split `dataset` can be scored honestly.

    There is a split to train on and another to score on, each has the same classes, or no label
    that can't be learned, or two different values, and no group is in two splits (unless
    `allow_group_overlap`).
    """
    known = labelled(dataset)
    splits = {str(item.split) for item in known.items}
    _refuse_no_splits(dataset, splits)
    check = {"classes": _refuse_different_classes, "labels": _refuse_unlearned_labels}
    check.get(kind, _refuse_equal_values)(known, splits)
    if not allow_group_overlap:
        _refuse_straddling_groups(known)


def unlabelled_line(dataset: Dataset, what: str = "kept, not learned from") -> str:
    """Return what to say of items without a label; empty if all have one."""
    n_bare = sum(item.label is None for item in dataset.items)
    have = "item has" if n_bare == 1 else "items have"
    return f"{n_bare} {have} no label: {what}" if n_bare else ""


def cross_split_duplicates(dataset: Dataset, digests: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the keys of items with equal bytes that are in different splits, group by group.

    Parameters
    ----------
    dataset : Dataset
    digests : mapping of key → sha256 of the payload
    """
    same: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for item in dataset.items:
        if item.key in digests:
            same[digests[item.key]].append((item.key, item.split))
    return [
        tuple(key for key, _ in twins)
        for twins in same.values()
        if len({split for _, split in twins} - {None}) > 1  # what is in no split leaks nothing
    ]


def conflicting_labels(
    dataset: Dataset, digests: Mapping[str, str]
) -> list[tuple[tuple[str, str], ...]]:
    """Return (key, label) of the items with equal bytes and different labels, group by group.

    Parameters
    ----------
    dataset : Dataset
    digests : mapping of key → sha256 of the payload
    """
    same: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for item in dataset.items:
        if item.key in digests and item.label is not None:
            same[digests[item.key]].append((item.key, item.label))
    return [tuple(twins) for twins in same.values() if len({label for _, label in twins}) > 1]


def _bare(dataset: Dataset, what: str) -> DataError:
    by_columns = f" Its columns not read: {', '.join(dataset.unread)}." if dataset.unread else ""
    return DataError(
        f'Labels are missing from "{dataset.name}".',
        f"{what}.{by_columns}",
        "A label is the folder an item lies in, or the column `label`, or one that is named."
        if _is_on_disk(dataset)
        else "A label for each item: beside it, as y in (X, y), or in labels.",
        f"Type, for example:  {option('label', dataset.unread[0])}"
        if dataset.unread
        else _remedy(dataset, "labels=[…]"),
    )


def _is_on_disk(dataset: Dataset) -> bool:
    return Path(dataset.name).exists()


def _remedy(dataset: Dataset, in_memory: str) -> str:
    """Return how files are laid out, to somebody who has files; else what to type in Python."""
    on_disk = "Lay the files out as:  DATA/<class>/<file>"
    return on_disk if _is_on_disk(dataset) else f"Type, for example:  {in_memory}"


def _all(n_items: int) -> str:
    return "Its one item is" if n_items == 1 else f"All {n_items} items are"


def _all_alike(dataset: Dataset, kind: str) -> DataError:
    what = {"classes": "of one class", "labels": "labelled alike", "values": "of one value"}[kind]
    return DataError(
        f'No head can be fitted on "{dataset.name}".',
        f"{_all(len(dataset))} {what}: {dataset.items[0].label}.",
        "Two classes or more, each with items; labels or values that differ.",
        _remedy(dataset, "numpy.unique(labels)"),
    )


def _refuse_no_splits(dataset: Dataset, splits: set[str]) -> None:
    """Raise `DataError` unless there is a split to learn from, and one to score."""
    if "train" not in splits:
        raise DataError(
            f'No split of "{dataset.name}" is for training.',
            f"Its splits are {', '.join(sorted(splits))}.",
            "A split named train, or none at all to have one drawn.",
            "Rename the folder or fill the column `split` with:  train"
            if _is_on_disk(dataset)
            else 'Type, for example:  splits=["train", "test", …]   or leave out splits',
        )
    if len(splits) == 1:
        raise DataError(
            f'All items of "{dataset.name}" are for training.',
            "So nothing is left to score a head on.",
            "A split test or val beside train, or no splits at all to have one drawn.",
            _remedy(dataset, 'splits=["train", "test", …]   or leave out splits'),
        )


def _refuse_different_classes(dataset: Dataset, splits: set[str]) -> None:
    labels = {split: {str(item.label) for item in dataset.only(split).items} for split in splits}
    for split in sorted(splits):
        missing, extra = labels["train"] - labels[split], labels[split] - labels["train"]
        if missing or extra:
            raise DataError(
                f'The splits of "{dataset.name}" have different classes.',
                f"{split} lacks {_list(missing)} and has {_list(extra)} that train lacks.",
                "All splits have the same classes.",
                f'Move, rename or remove the folders of split "{split}".',
            )


def _refuse_unlearned_labels(dataset: Dataset, splits: set[str]) -> None:
    """Raise `DataError` for a label that all training items have or none has."""
    rows = [names_in(item.label) for item in dataset.only("train").items]
    counts = Counter(name for row in rows for name in row)
    names = {name for item in dataset.items for name in names_in(item.label)}
    bad = {name for name in names if not 0 < counts[name] < len(rows)}
    if bad:
        raise DataError(
            f'Some labels of "{dataset.name}" can\'t be learned.',
            f"None or all of {len(rows)} training items have: {_list(bad)}.",
            "Labels that some training items have and others have not.",
            "Mend the column `split`, or drop those labels.",
        )


def _refuse_equal_values(dataset: Dataset, splits: set[str]) -> None:
    """Raise `DataError` for a split of one value alone: nothing can be learned, or told, of it."""
    for split in sorted(splits):
        values = {number_in(item.label) for item in dataset.only(split).items}
        if len(values) < 2:
            raise DataError(
                f'Split {split} of "{dataset.name}" holds one value alone: {min(values):g}.',
                f"It has {len(dataset.only(split))} items.",
                "Two different values or more in each split: R² divides by their variance.",
                "Add items, or mend the column `split`.",
            )


def _refuse_straddling_groups(dataset: Dataset) -> None:
    splits: dict[str, set[str | None]] = defaultdict(set)
    for item in dataset.items:
        if item.group is not None:
            splits[item.group].add(item.split)
    across = sorted(group for group, names in splits.items() if len(names) > 1)
    if across:
        n_across, lie = counted(len(across), "group"), "lies" if len(across) == 1 else "lie"
        raise DataError(
            f'{n_across} of "{dataset.name}" {lie} in more than one split.',
            f'One of them is "{across[0]}".',
            "All items of a group in one split; else the score flatters.",
            f"Mend the splits, or waive it with:  {option('allow_group_overlap', True)}",
        )


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) or "nothing"
