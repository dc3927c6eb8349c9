"""Items → features in a store: planned, in units, each done once."""

from cutpoint.extraction.plan import Plan, Unit
from cutpoint.extraction.profile import Profile
from cutpoint.extraction.run import Extraction, ExtractOptions, extract_features
from cutpoint.extraction.unit import Described, describe

__all__ = [
    "Described",
    "ExtractOptions",
    "Extraction",
    "Plan",
    "Profile",
    "Unit",
    "describe",
    "extract_features",
]
