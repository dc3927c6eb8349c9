"""Where items come from, which split they are in, and what is wrong with them."""

from cutpoint.items.reading.columns import Column
from cutpoint.items.reading.hygiene import (
    check_for_fit,
    conflicting_labels,
    cross_split_duplicates,
    refuse_unlearnable,
    unlabelled_line,
)
from cutpoint.items.reading.items import Dataset, Item, digest_payload, read_payload
from cutpoint.items.reading.kind_of import kind_of
from cutpoint.items.reading.labels import LABEL_TYPES, Label, as_given, is_label
from cutpoint.items.reading.named import (
    APART,
    ColumnNames,
    Columns,
    DataColumns,
    ItemColumns,
)
from cutpoint.items.reading.read import (
    read_dataset,
    read_items,
    refuse_other_kind,
    with_unlabelled,
)
from cutpoint.items.reading.splits import (
    assign_splits,
    can_be_split,
    has_splits,
    tell_idle_seed,
)
from cutpoint.items.reading.tables import is_table
from cutpoint.items.reading.targets import (
    AUTO,
    KINDS,
    check_kind,
    labelled,
    names_in,
    number_in,
    settle_kind,
    tell_kind,
    values_of,
    without_unlabelled_splits,
)

__all__ = [
    "APART",
    "AUTO",
    "KINDS",
    "LABEL_TYPES",
    "Column",
    "ColumnNames",
    "Columns",
    "DataColumns",
    "Dataset",
    "Item",
    "ItemColumns",
    "Label",
    "as_given",
    "assign_splits",
    "can_be_split",
    "check_for_fit",
    "check_kind",
    "conflicting_labels",
    "cross_split_duplicates",
    "digest_payload",
    "has_splits",
    "is_label",
    "is_table",
    "kind_of",
    "labelled",
    "names_in",
    "number_in",
    "read_dataset",
    "read_items",
    "read_payload",
    "refuse_other_kind",
    "refuse_unlearnable",
    "settle_kind",
    "tell_idle_seed",
    "tell_kind",
    "unlabelled_line",
    "values_of",
    "with_unlabelled",
    "without_unlabelled_splits",
]
