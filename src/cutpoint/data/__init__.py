"""Where items come from, which split they are in, and what is wrong with them."""

from cutpoint.data.columns import Column
from cutpoint.data.hygiene import (
    check_for_fit,
    conflicting_labels,
    cross_split_duplicates,
    refuse_unlabelled,
    refuse_unlearnable,
)
from cutpoint.data.items import Dataset, Item, digest_payload, read_payload
from cutpoint.data.labels import LABEL_TYPES, Label, as_given, is_label
from cutpoint.data.read import read_dataset, read_items
from cutpoint.data.splits import assign_splits, can_be_split, has_splits

__all__ = [
    "LABEL_TYPES",
    "Column",
    "Dataset",
    "Item",
    "Label",
    "as_given",
    "assign_splits",
    "can_be_split",
    "check_for_fit",
    "conflicting_labels",
    "cross_split_duplicates",
    "digest_payload",
    "has_splits",
    "is_label",
    "read_dataset",
    "read_items",
    "read_payload",
    "refuse_unlabelled",
    "refuse_unlearnable",
]
