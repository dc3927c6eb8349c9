"""Items → features in a store: planned, in units, each done once."""

from cutpoint.extract.plan import Plan, Unit
from cutpoint.extract.run import Extraction, ExtractOptions, extract_features
from cutpoint.extract.unit import Described, describe

__all__ = [
    "Described",
    "ExtractOptions",
    "Extraction",
    "Plan",
    "Unit",
    "describe",
    "extract_features",
]
