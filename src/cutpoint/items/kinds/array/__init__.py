"""Arrays that are ready as they are, one or several by name; what `contracts.Kind` names."""

from cutpoint.items.kinds.array.defaults import DEFAULTS
from cutpoint.items.kinds.array.prepare import prepare_item
from cutpoint.items.kinds.array.read import ITEMS, NAME, NOUN, SUFFIXES, digest, payload_of
from cutpoint.items.kinds.array.recipes import spec_from_json
from cutpoint.items.kinds.array.show import wanted
from cutpoint.items.kinds.plain import (
    BESIDE,
    COLUMNS,
    LINES,
    decodes_smaller,
    decoding,
    in_graph,
    picture,
    refuse_one,
)

__all__ = [
    "BESIDE",
    "COLUMNS",
    "DEFAULTS",
    "ITEMS",
    "LINES",
    "NAME",
    "NOUN",
    "SUFFIXES",
    "decodes_smaller",
    "decoding",
    "digest",
    "in_graph",
    "payload_of",
    "picture",
    "prepare_item",
    "refuse_one",
    "spec_from_json",
    "wanted",
]
