"""A source somebody else could write: ``mean:8`` gives the colours of an image shrunk to 8 × 8.

It brings a network (here a torch module), says how it is fed, and hashes its weights; listing,
cutting, storing and the rest come from cutpoint.
"""

from __future__ import annotations

from cutpoint.base.errors import BackboneNotFound
from cutpoint.base.spec import BackboneSpec, PreprocessSpec
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions


def load(name: str, options: LoadOptions) -> Backbone:
    """Return a network that averages an image down to `name` × `name` places."""
    import torch

    from cutpoint.networks.frameworks import torch as framework

    if not name.isdigit():
        raise BackboneNotFound(
            f'No backbone "mean:{name}".',
            "The part after the colon is no number.",
            "A number of places a side, 1 to 16.",
            "Type, for example:  cutpoint layers mean:8",
        )
    known = PreprocessSpec(32, 32, "bilinear", (127.5,) * 3, (127.5,) * 3)
    preprocess = stated_preprocess(options.preprocess or known, f"mean:{name}")
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(int(name)), torch.nn.Flatten())
    spec = BackboneSpec("mean", name, "image", f"no weights, {name} places", preprocess)
    return Backbone(spec, lambda: network, lambda: framework)
