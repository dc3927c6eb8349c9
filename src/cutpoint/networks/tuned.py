"""A backbone some of whose weights were trained further: the base, and what differs from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cutpoint.base.errors import WeightsError
from cutpoint.base.files import write_durably
from cutpoint.base.spec import BackboneSpec
from cutpoint.base.types import Array
from cutpoint.networks.backbone import Backbone

SOURCE = "tuned"
MANIFEST, WEIGHTS = "backbone.json", "weights.safetensors"


@dataclass(frozen=True)
class Tuned:
    """What a backbone was tuned from.

    Attributes
    ----------
    base : Backbone
    weights : mapping of name → array
        Parameters that are other than the base's.
    """

    base: Backbone
    weights: Mapping[str, Array]

    @property
    def spec(self) -> BackboneSpec:
        """The backbone's: its digest follows from the base's and from the bytes of what differs."""
        own = self.base.spec
        sha256 = _sha256(own, self.weights)
        return replace(own, source=SOURCE, name=own.id, weights_sha256=sha256)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what differs from the base, and which that is: ``backbone.json``, safetensors.

        ``cp.load("tuned:path")`` reads it; the base is loaded as it was loaded before.
        """
        folder = Path(path)
        weights = {name: np.require(each, requirements="C") for name, each in self.weights.items()}
        write_durably(folder / WEIGHTS, save(weights))
        fields = {"format": 1, "backbone": self.spec.to_json(), **self.to_json()}
        write_durably(folder / MANIFEST, json.dumps(fields, indent=1).encode())

    def to_json(self) -> dict[str, Any]:
        """Return what the base is, and how it is loaded."""
        return {"base": self.base.spec.to_json(), "load_name": self.base.load_name}


def tuned_backbone(base: Backbone, weights: Mapping[str, Array]) -> Backbone:
    """Return `base` with these parameters in place of its own, as a backbone of its own.

    The network of `base` is left as it is.
    """
    tuned = Tuned(base, dict(weights))
    found = Backbone(
        tuned.spec,
        lambda: base.trained_by.with_weights(base.held_network(), weights),
        lambda: base.framework,
        base.load_name,
    )
    found.loaded_with, found.decode = base.loaded_with, base.decode
    found.tuned = tuned
    return found


def _sha256(base: BackboneSpec, weights: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(base.weights_sha256.encode())
    for name, values in sorted(weights.items()):
        digest.update(f"{name}{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def read_tuned(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the fields of ``backbone.json`` and the weights that `Tuned.save` wrote."""
    try:
        fields: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        weights: dict[str, Array] = load((folder / WEIGHTS).read_bytes())
        if fields["format"] != 1:
            raise ValueError(f"its format is {fields['format']!r}, this release reads 1")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(
            f'The tuned backbone in "{folder}" can\'t be read.',
            f"It raised {type(error).__name__}: {error}",
            f"A folder with {MANIFEST} and {WEIGHTS}, as they were written.",
            f"Look at it with:  ls {folder}",
        ) from error
    return fields, weights


def restored(
    spec: BackboneSpec, base: Backbone, base_spec: BackboneSpec, weights: Mapping[str, Array]
) -> Backbone:
    """Return the tuned backbone `spec` made of its base and weights; refuse any other.

    Raises
    ------
    WeightsError
        If the base is another than it was tuned from, or the weights are.
    """
    if base.spec != base_spec:
        raise WeightsError(
            f'The base of the tuned backbone is another "{base_spec.id}".',
            f"It was tuned from weights {base_spec.weights_sha256[:16]}…, fed as said then; these "
            f"are {base.spec.weights_sha256[:16]}….",
            "The very weights it was tuned from.",
            f"Load them with:  cp.load({base.load_name!r})",
        )
    found = tuned_backbone(base, weights)
    if found.spec != spec:
        raise WeightsError(
            f'The weights of the tuned backbone "{spec.name}" were changed.',
            f"Their digest is {found.spec.weights_sha256[:16]}…, not {spec.weights_sha256[:16]}….",
            "The file as it was written.",
            "Tune it again.",
        )
    return found
