"""Texts and pairs of texts; what `contracts.Kind` names, from one file each."""

from cutpoint.items.kinds.text.adjust import adjusted, remarks
from cutpoint.items.kinds.text.batches import n_at_once, parts
from cutpoint.items.kinds.text.counts import COUNTS, counts, told
from cutpoint.items.kinds.text.defaults import DEFAULTS
from cutpoint.items.kinds.text.prepare import prepare_item
from cutpoint.items.kinds.text.read import (
    BESIDE,
    COLUMNS,
    ITEMS,
    LINES,
    NAME,
    NOUN,
    SUFFIXES,
    digest,
    payload_of,
)
from cutpoint.items.kinds.text.show import snippet, wanted
from cutpoint.items.kinds.text.spec import TextSpec
from cutpoint.items.kinds.text.tokenizers import hold, n_ids

spec_from_json = TextSpec.from_json

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
    "TextSpec",
    "adjusted",
    "counts",
    "digest",
    "hold",
    "n_at_once",
    "n_ids",
    "parts",
    "payload_of",
    "prepare_item",
    "remarks",
    "snippet",
    "spec_from_json",
    "told",
    "wanted",
]
