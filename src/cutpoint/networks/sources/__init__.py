"""Where a backbone comes from; one file a source, each with the one verb `load`."""

from cutpoint.networks.sources.objects import load_object
from cutpoint.networks.sources.registry import load_backbone

__all__ = ["load_backbone", "load_object"]
