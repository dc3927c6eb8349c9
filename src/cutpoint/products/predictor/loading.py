"""A saved predictor, read back and checked."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cutpoint.base.arguments import as_path, check_flags
from cutpoint.base.errors import ModalityError, PredictorError, UsageError
from cutpoint.base.spec import PRECISIONS, BackboneSpec, TapSpec
from cutpoint.base.types import Array
from cutpoint.items.kinds import kind_named
from cutpoint.learning.heads import Classifier, Head, Labeller, head_from_state
from cutpoint.learning.recipe import FittedRecipe
from cutpoint.networks.backbone import STORAGES, Backbone, LoadOptions
from cutpoint.networks.pooling import REVISION
from cutpoint.networks.sources import load_backbone
from cutpoint.networks.tuned import restored
from cutpoint.products.predictor.card import Card
from cutpoint.products.predictor.format import (
    HEAD,
    MANIFEST,
    NETWORK,
    RECIPE,
    TUNED,
    broken,
    part,
    read_arrays,
    read_manifest,
)
from cutpoint.products.predictor.predictor import Predictor
from cutpoint.products.predictor.scorer import said_by


def load_predictor(
    path: str | os.PathLike[str], backbone: Backbone | None = None, *, trust_weights: bool = False
) -> Predictor:
    """Return a saved predictor.

    Parameters
    ----------
    path : path
        The folder `Predictor.save` wrote.
    backbone : Backbone, optional
        The backbone it was fitted on, where no source can load it by name.
    trust_weights : bool
        As in `cutpoint.load`; asked anew each time, whoever made the predictor.

    Raises
    ------
    PredictorError
        If it is no predictor, was changed or cut short, or its backbone is not the one it knew.
    ModalityError
        If it reads another kind of item than this release does.
    """
    check_flags(trust_weights=trust_weights)
    folder = as_path("path", path)
    if backbone is not None and trust_weights:
        raise UsageError(
            "trust_weights goes with the name of a backbone, not with a loaded one.",
            "It says what may be loaded, and nothing is.",
            "The backbone alone.",
            "Leave out trust_weights",
        )
    fields = read_manifest(folder)
    if not isinstance(fields.get("modality"), str):
        raise broken(folder, f"{MANIFEST} names no modality")
    _refuse_unknown_kind(folder, fields["modality"])
    try:
        return _predictor(folder, fields, backbone, trust_weights)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise broken(folder, f"{MANIFEST} lacks or misspells something ({error!r})") from error


def _refuse_unknown_kind(folder: Path, name: str) -> None:
    try:
        kind_named(name)
    except ModalityError as error:
        raise ModalityError(
            f'The predictor "{folder}" reads items of kind "{name}".',
            "What reads and prepares such items is not installed.",
            error.would_do,
            "Install the package that brings it, or:  pip install --upgrade cutpoint-ml",
        ) from error


def read_recipe(path: str | os.PathLike[str]) -> FittedRecipe:
    """Return the recipe of a saved predictor, without loading its backbone.

    Raises
    ------
    PredictorError
        If it is no predictor, or was changed or cut short.
    """
    folder = Path(path)
    fields = read_manifest(folder)
    try:
        arrays = read_arrays(folder, fields["head"])
        return _recipe(folder, fields["recipe"], part(arrays, RECIPE))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise broken(folder, f"{MANIFEST} lacks or misspells something ({error!r})") from error


def _predictor(
    folder: Path, fields: dict[str, Any], backbone: Backbone | None, trust_weights: bool
) -> Predictor:
    arrays = read_arrays(folder, fields["head"])
    found = _backbone(folder, fields, backbone, trust_weights, part(arrays, TUNED))
    recipe = _recipe(folder, fields["recipe"], part(arrays, RECIPE))
    head = _head(folder, fields["head"], part(arrays, HEAD))
    _check_parts(folder, fields, found, recipe, head)
    precision = fields.get("precision", "fp32")  # a field younger than the format
    network = _network(folder, precision, part(arrays, NETWORK))
    made = Predictor(
        backbone=found,
        recipe=recipe,
        head=head,
        trained_on=frozenset(fields["trained_on"]),
        seed=fields["seed"],
        card=_card(folder, fields["card"]),
        storage=fields["storage"],
        precision=precision,
        network=network,
        margin=_margin(folder, fields.get("margin")),
        revision=fields.get("revision", 1),
    )
    try:
        str(made)  # a card that can't be printed is refused now, as all else that is misspelt
    except (ValueError, OverflowError) as error:
        raise broken(folder, f"its card can't be printed ({error})") from error
    return made


def _backbone(
    folder: Path,
    fields: dict[str, Any],
    given: Backbone | None,
    trust_weights: bool,
    tuned: dict[str, Array],
) -> Backbone:
    """Return the backbone that is given or loaded by name; where it was tuned, with its weights."""
    spec = wanted = _backbone_spec(folder, fields["backbone"])
    if "tuned" in fields and (given is None or given.spec != spec):
        wanted = _backbone_spec(folder, fields["tuned"]["base"])
    options = LoadOptions(wanted.preprocess, trust_weights, inputs=dict(wanted.constants) or None)
    found = given or load_backbone(fields["load_name"], options)
    if found.spec != wanted:
        difference = _difference(wanted, found.spec)
        raise broken(folder, f"it was fitted on another {wanted.id}: {difference}")
    return found if wanted is spec else restored(spec, found, wanted, tuned)


def _margin(folder: Path, given: Any) -> float | None:
    if given is None or (isinstance(given, float | int) and 0 <= given < np.inf):
        return given
    raise broken(folder, f"its margin is {given!r}")


def _backbone_spec(folder: Path, fields: Any) -> BackboneSpec:
    try:
        spec = BackboneSpec.from_json(fields)
        spec.preprocess.check()
        return spec
    except (ValueError, OverflowError) as error:
        raise broken(folder, f"its backbone is misspelt ({error})") from error


def _card(folder: Path, given: Any) -> Card:
    if not isinstance(given, dict):
        raise broken(folder, "its card is no mapping")
    return Card.from_json(given)


def _network(folder: Path, precision: str, arrays: dict[str, Array]) -> bytes:
    """Return the quantised network, which int8 has and no other precision."""
    if precision not in PRECISIONS:
        raise broken(folder, f"its precision is {precision!r}")
    if list(arrays) != (["int8"] if precision == "int8" else []):
        raise broken(folder, f"its precision is {precision}, its networks {list(arrays)}")
    return b"".join(array.tobytes() for array in arrays.values())


def _head(folder: Path, fields: dict[str, Any], arrays: dict[str, Array]) -> Head:
    try:
        return head_from_state(fields, arrays, None)
    except PredictorError as error:
        raise broken(folder, f"its head can't be restored: {error.__cause__}") from error


def _recipe(folder: Path, fields: dict[str, Any], arrays: dict[str, Array]) -> FittedRecipe:
    try:
        return FittedRecipe.from_state(fields, arrays)
    except ValueError as error:  # errors of this package among them
        why = getattr(error, "got", error)
        raise broken(folder, f"its recipe can't be restored: {why}") from error


def _check_parts(
    folder: Path, fields: dict[str, Any], backbone: Backbone, recipe: FittedRecipe, head: Head
) -> None:
    """Raise `PredictorError` unless backbone, recipe and head fit one another."""
    names = [row.name for row in backbone.layers().rows]
    strange = [tap for tap in recipe.taps if TapSpec.from_name(tap).layer not in names]
    if strange:
        raise broken(folder, f'its backbone has no tap "{strange[0]}"')
    if fields["storage"] not in STORAGES:
        raise broken(folder, f"its storage is {fields['storage']!r}")
    if fields.get("revision", 1) not in range(1, REVISION + 1):
        raise broken(folder, f"its pools are of revision {fields['revision']!r}")
    wrong = _wrong_head(recipe, head)
    if wrong:
        raise broken(folder, wrong)


def _wrong_head(recipe: FittedRecipe, head: Head) -> str:
    """Return what is wrong with a head after a recipe; empty if nothing is."""
    wrong = _wrong_names(head)
    if wrong or head.takes != "vectors":
        return wrong
    if recipe.after and recipe.after[-1].check_restored() != head.n_features_in_:
        return f"its head takes {head.n_features_in_} columns, its recipe makes others"
    try:
        found = said_by(head, np.zeros((1, head.n_features_in_), np.float32))
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        return f"its head can't score ({error})"
    return "" if np.isfinite(found).all() else "its head holds NaN or infinity"


def _wrong_names(head: Head) -> str:
    """Return what is wrong with the classes or labels a head tells; empty if nothing is."""
    if not isinstance(head, Classifier | Labeller):
        return "" if head.n_outputs == 1 else f"its head tells {head.n_outputs} values"
    names, least = (head.classes_, 2) if isinstance(head, Classifier) else (head.labels_, 1)
    different = set(map(str, names))
    if len(different) < least or len(different) < len(names):
        return f"its head tells {len(names)} {head.target} of {len(different)} names"
    temperature = getattr(head, "temperature_", 1.0)
    if not isinstance(temperature, float | int) or not 0 < temperature < np.inf:
        return f"its head's temperature is {temperature!r}"
    return ""


def _difference(then: BackboneSpec, now: BackboneSpec) -> str:
    old, new = asdict(then), asdict(now)
    changed = [f"{name} was {old[name]}, is {new[name]}" for name in old if old[name] != new[name]]
    return "; ".join(changed)
