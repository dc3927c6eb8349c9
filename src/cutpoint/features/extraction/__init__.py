"""Items → features in a store: planned, in units, each done once."""

from cutpoint.features.extraction.plan import Plan, Unit
from cutpoint.features.extraction.profile import Profile
from cutpoint.features.extraction.run import Extraction, ExtractOptions, extract_features
from cutpoint.features.extraction.unit import Described, describe

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
