"""Arrays that are ready as they are, one or several by name; what `contracts.Kind` names."""

from cutpoint.items.kinds.array.defaults import DEFAULTS
from cutpoint.items.kinds.array.prepare import prepare_item
from cutpoint.items.kinds.array.read import ITEMS, NAME, NOUN, SUFFIXES, digest, payload_of
from cutpoint.items.kinds.array.recipes import spec_from_json
from cutpoint.items.kinds.array.show import wanted
from cutpoint.items.kinds.plain import (
    BESIDE,
    COLUMNS,
    COUNTS,
    LINES,
    adjusted,
    counts,
    decodes_smaller,
    decoding,
    in_graph,
    n_at_once,
    parts,
    picture,
    refuse_one,
    remarks,
    snippet,
    told,
)

__all__ = [
    "BESIDE",
    "COLUMNS",
    "COUNTS",
    "DEFAULTS",
    "ITEMS",
    "LINES",
    "NAME",
    "NOUN",
    "SUFFIXES",
    "adjusted",
    "counts",
    "decodes_smaller",
    "decoding",
    "digest",
    "in_graph",
    "n_at_once",
    "parts",
    "payload_of",
    "picture",
    "prepare_item",
    "refuse_one",
    "remarks",
    "snippet",
    "spec_from_json",
    "told",
    "wanted",
]
