"""Kinds of item: how each is read, prepared and shown; one folder a kind, all of one shape."""

from cutpoint.items.kinds.registry import (
    all_kinds,
    defaults_of,
    in_graph,
    kind_named,
    prepare_item,
    viewed,
)
from cutpoint.items.kinds.stated import (
    inputs_text,
    may_be_photos,
    read_preprocess,
    stated_inputs,
    stated_preprocess,
    unstated,
)

__all__ = [
    "all_kinds",
    "defaults_of",
    "in_graph",
    "inputs_text",
    "kind_named",
    "may_be_photos",
    "prepare_item",
    "read_preprocess",
    "stated_inputs",
    "stated_preprocess",
    "unstated",
    "viewed",
]
