"""What would make a score meaningless: found before anything expensive starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from cutpoint.base.errors import DataError
from cutpoint.items.reading.items import Dataset


def refuse_unlearnable(dataset: Dataset) -> None:
    """Raise `DataError` unless every item has a label and there are two classes or more.

    Numbers that look like a target are no classes.
    """
    refuse_unlabelled(dataset)
    _refuse_target(dataset)
    _refuse_one_class(dataset)


def check_for_fit(dataset: Dataset, allow_group_overlap: bool = False) -> None:
    """Raise `DataError` unless a head fitted on the split `dataset` can be scored honestly.

    There is a split to train on and another to score on, each has the same classes, and no group
    is in two splits (unless `allow_group_overlap`).
    """
    _refuse_different_classes(dataset)
    if not allow_group_overlap:
        _refuse_straddling_groups(dataset)


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
        if len({split for _, split in twins}) > 1
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


def refuse_unlabelled(dataset: Dataset) -> None:
    """Raise `DataError` unless every item has a label."""
    bare = [item.key for item in dataset.items if item.label is None]
    if bare:
        raise DataError(
            f'The labels of "{dataset.name}" were asked for.',
            f'{len(bare)} of {len(dataset)} items have no label, such as "{bare[0]}".',
            "Every item needs a label: the folder it lies in, or the column `label`.",
            "Lay the files out as:  DATA/<class>/<file>",
        )


def _refuse_target(dataset: Dataset) -> None:
    """Raise `DataError` if labels are fractions: floats, or text of which few are alike."""
    labels = [str(item.label) for item in dataset.items]
    fraction = _first_fraction(labels)
    if fraction and (dataset.label_type == "float" or 2 * len(set(labels)) > len(labels)):
        raise DataError(
            f'The labels of "{dataset.name}" are numbers such as {fraction}: a target, no classes.',
            f"{len(labels)} items have {len(set(labels))} different ones; a head tells classes.",
            'Classes; or a ranking of the layers for values, as kind="values" gives it in Python.',
            "Type:  cutpoint choose DATA --kind values",
        )


def _first_fraction(labels: list[str]) -> str:
    """Return the first label that is no whole number; empty if one is no number, or all whole."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return ""
    pairs = zip(labels, numbers, strict=True)
    return next((label for label, number in pairs if not number.is_integer()), "")


def _refuse_one_class(dataset: Dataset) -> None:
    present = sorted({item.label for item in dataset.items if item.label is not None})
    if len(present) < 2:
        raise DataError(
            f'A head for "{dataset.name}" was asked for.',
            f"All {len(dataset)} items are of one class: {', '.join(present)}.",
            "Two classes or more, each with items.",
            "Lay the files out as:  DATA/<class>/<file>",
        )


def _refuse_different_classes(dataset: Dataset) -> None:
    labels: dict[str, set[str]] = defaultdict(set)
    for item in dataset.items:
        labels[str(item.split)].add(str(item.label))
    if "train" not in labels:
        raise DataError(
            f'A head for "{dataset.name}" was asked for.',
            f"Its splits are {', '.join(sorted(labels))}; none is for training.",
            "A split named train, or none at all to have one drawn.",
            "Rename the folder or fill the column `split` with:  train",
        )
    if len(labels) == 1:
        raise DataError(
            f'A head for "{dataset.name}" was asked for.',
            "All its items are for training, so nothing is left to score it on.",
            "A folder test/ or val/ beside train/, or no splits at all to have one drawn.",
            "Lay the files out as:  DATA/<class>/<file>",
        )
    for split in sorted(labels):
        missing, extra = labels["train"] - labels[split], labels[split] - labels["train"]
        if missing or extra:
            raise DataError(
                f'The splits of "{dataset.name}" were to be compared.',
                f"{split} lacks {_list(missing)} and has {_list(extra)} that train lacks.",
                "All splits have the same classes.",
                f'Move, rename or remove the folders of split "{split}".',
            )


def _refuse_straddling_groups(dataset: Dataset) -> None:
    splits: dict[str, set[str | None]] = defaultdict(set)
    for item in dataset.items:
        if item.group is not None:
            splits[item.group].add(item.split)
    across = sorted(group for group, names in splits.items() if len(names) > 1)
    if across:
        raise DataError(
            f'The splits of "{dataset.name}" were to be checked.',
            f'{len(across)} groups are in more than one split, such as "{across[0]}".',
            "All items of a group in one split; else the score flatters.",
            "Mend the column `split`, or waive it with:  --allow-group-overlap",
        )


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)[:5]) or "nothing"
