"""Arrays that are ready as they are, one or several by name; what `contracts.Kind` names."""

from cutpoint.items.kinds.array.defaults import DEFAULTS
from cutpoint.items.kinds.array.prepare import prepare_item
from cutpoint.items.kinds.array.read import ITEMS, NAME, NOUN, SUFFIXES, digest, payload_of
from cutpoint.items.kinds.array.recipes import spec_from_json
from cutpoint.items.kinds.array.show import wanted

__all__ = [
    "DEFAULTS",
    "ITEMS",
    "NAME",
    "NOUN",
    "SUFFIXES",
    "digest",
    "payload_of",
    "prepare_item",
    "spec_from_json",
    "wanted",
]
