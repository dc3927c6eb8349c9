"""``tuned:folder``: a backbone that was fine-tuned, as `Tuned.save` wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cutpoint.base.spec import BackboneSpec
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.registry import load_backbone
from cutpoint.networks.tuned import read_tuned, restored


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the backbone in a folder; its base is loaded as it was when it was tuned.

    Raises
    ------
    WeightsError
        If base or weights are others than those of the time.
    """
    folder = Path(name).expanduser()
    fields, weights = read_tuned(folder)
    base_spec = BackboneSpec.from_json(fields["base"])
    constants = dict(base_spec.constants) or None
    how = replace(options, preprocess=base_spec.preprocess, inputs=constants)
    base = load_backbone(fields["load_name"], how)
    found = restored(BackboneSpec.from_json(fields["backbone"]), base, base_spec, weights)
    found.load_name = f"tuned:{folder}"
    return found
