"""Where items come from, which split they are in, and what is wrong with them."""

from cutpoint.items.reading.columns import Column
from cutpoint.items.reading.hygiene import (
    check_for_fit,
    conflicting_labels,
    cross_split_duplicates,
    refuse_unlabelled,
    refuse_unlearnable,
)
from cutpoint.items.reading.items import Dataset, Item, digest_payload, read_payload
from cutpoint.items.reading.labels import LABEL_TYPES, Label, as_given, is_label
from cutpoint.items.reading.read import read_dataset, read_items, refuse_other_kind
from cutpoint.items.reading.splits import (
    assign_splits,
    can_be_split,
    has_splits,
    tell_idle_seed,
)

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
    "refuse_other_kind",
    "refuse_unlabelled",
    "refuse_unlearnable",
    "tell_idle_seed",
]
