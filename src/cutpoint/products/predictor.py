"""The fitted artefact: preprocess + cut + pool + head, saved without pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cutpoint.base.arguments import as_path
from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.errors import ModalityError, PredictorError, UsageError
from cutpoint.base.files import told, write_durably
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import (
    PRECISIONS,
    BackboneSpec,
    FeatureSpec,
    TapSpec,
    canonical_json,
)
from cutpoint.base.text import printable
from cutpoint.base.types import Array, Float64, blank_batch, stacked
from cutpoint.features.extraction import Described, describe
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.plan import CALIBRATION_SIZE
from cutpoint.features.extraction.unit import prepared_alike, refuse_misfit
from cutpoint.features.store.halves import as_read
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading import Item, Label, read_items
from cutpoint.learning.heads import Head, head_from_state
from cutpoint.learning.metrics import Interval
from cutpoint.learning.recipe import FittedRecipe
from cutpoint.networks.backbone import STORAGES, Backbone, LoadOptions
from cutpoint.networks.engines import (
    ENGINES,
    KeptModel,
    QuantisedCut,
    check_engine,
    checked_engine,
    compiled_id,
    engine_identity,
    preferred_engine,
)
from cutpoint.networks.sources import load_backbone

FORMAT = 1
MANIFEST, HEAD, RECIPE, NETWORK = "predictor.json", "head", "recipe", "network"
BAD_ROWS = "bad_rows.csv"
_CHUNK = 32  # items a worker takes at a time
_DIGEST_DIGITS = 16  # kept of each training payload's sha256: 64 bits tell any two photos apart


@dataclass(frozen=True)
class Prediction:
    """What the predictor says of one item.

    Attributes
    ----------
    key : str
    label : str, int, bool, float or None
        In the type that labels came in; None if the item is bad.
    probability : float
        Of that label, calibrated; NaN if the item is bad.
    reason : str
        Why the item is bad; empty otherwise.
    """

    key: str
    label: Label | None
    probability: float
    reason: str = ""


@dataclass
class Predictor:
    """A head with everything before it.

    Attributes
    ----------
    backbone : Backbone
    recipe : FittedRecipe
        Where the backbone is cut, the pooling, and what is done to the features.
    head : Head
    trained_on : frozenset of str
        First 16 hex digits of the sha256 of every training payload.
    seed : int
        Drew the test split, if the data brought none.
    storage : {"auto", "fp32", "fp16"}
        How the features it learned from were stored; new ones are rounded alike.
    card : dict
        How it was made and how it scored: data, candidates, scores. JSON types only.
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the network computed in, and computes in here; nothing else is put in its place.
    network : bytes
        Of int8, the quantised network itself; empty otherwise.
    """

    backbone: Backbone
    recipe: FittedRecipe
    head: Head
    trained_on: frozenset[str] = frozenset()
    seed: int = 0
    card: dict[str, Any] = field(default_factory=dict)
    storage: str = "auto"
    precision: str = "fp32"
    network: bytes = field(default=b"", repr=False)

    @property
    def taps(self) -> tuple[TapSpec, ...]:
        """Where the backbone is cut, and the pooling; one, or several made one by the recipe."""
        return tuple(TapSpec.from_name(tap) for tap in self.recipe.taps)

    @property
    def classes(self) -> tuple[Label, ...]:
        """In the order of the columns of `probabilities`, in the type the labels came in."""
        return tuple(self.head.classes_.tolist())

    def __str__(self) -> str:
        where = f"{self.backbone.spec.id} cut at {self.recipe}"
        lines = [f"Predictor of {len(self.classes)} classes: {where}"]
        decode = self.backbone.spec.preprocess.decode
        if self.recipe.tap_weights:
            lines.append(f"weights of the taps: {self.recipe.weights_text()}")
        if self.precision != "fp32":
            lines.append(f"the network computes in {self.precision}")
        if decode != "exact":
            lines.append(f"large photos are decoded {decode}")
        if "evaluation" in self.card:
            found = self.card["evaluation"]
            accuracy = Interval(**found["scores"]["accuracy"])
            lines.append(f"accuracy on split {found['split']}: {accuracy} (95 %, Wilson)")
        return "\n".join(map(printable, lines))

    def predict(
        self,
        data: Any,
        engine: str = "auto",
        n_workers: int | None = None,
        reporter: Reporter | None = None,
    ) -> list[Prediction]:
        """Return one prediction an item, in the order of the items; bad ones say why.

        Parameters
        ----------
        data : sequence of paths, file bytes, PIL images or uint8 arrays
            Or one file, a folder, a manifest, a `Dataset`.
        engine : {"auto", "openvino", "onnxruntime", "torch", "native"}
        n_workers : int, optional
            Threads; as many as cores by default.
        """
        tell = reporter.say if reporter else lambda line: None
        items = read_items(data, tell, self.backbone.kind)
        probabilities, reasons = self.probabilities(items, engine, n_workers, reporter)
        return [
            self._prediction(item.key, row, reasons.get(place, ""))
            for place, (item, row) in enumerate(zip(items, probabilities, strict=True))
        ]

    def probabilities(
        self,
        items: Sequence[Item],
        engine: str = "auto",
        n_workers: int | None = None,
        reporter: Reporter | None = None,
    ) -> tuple[Float64, dict[int, str]]:
        """Return calibrated probabilities (n_items, n_classes), NaN for bad items; and reasons."""
        check_engine(engine)
        executor = LocalExecutor(n_workers)
        out = np.full((len(items), len(self.classes)), np.nan)
        reasons: dict[int, str] = {}
        if not items:
            return out, reasons
        refuse_misfit(items, self.backbone.spec.preprocess)
        reporter = reporter or Reporter(quiet=True)
        ready = self._engine(items, engine, executor.n_workers, reporter)
        starts = range(0, len(items), _CHUNK)
        with reporter.bar("Predict", len(items)) as advance:
            work = self._worker(items, ready, advance)
            for start, found in executor.map(work, starts):
                places = [start + place for place in found.places]
                if places:
                    out[places] = self._scored(found.features)
                reasons |= {start + place: reason for place, reason in found.bad}
        return out, reasons

    def _worker(
        self, items: Sequence[Item], engine: Engine, advance: Callable[[int], None]
    ) -> Callable[[], Callable[[int], tuple[int, Described]]]:
        preprocess = self.backbone.spec.preprocess

        def make() -> Callable[[int], tuple[int, Described]]:
            run = engine.session()
            return lambda start: (
                start,
                describe(
                    items[start : start + _CHUNK],
                    preprocess,
                    run,
                    self.storage,
                    engine.batch_size,
                    on_items=advance,
                ),
            )

        return make

    def _engine(
        self, items: Sequence[Item], name: str, n_threads: int, reporter: Reporter
    ) -> Engine:
        """Return the engine, through the parity gate on the first items that can be prepared."""
        self.backbone.refuse_changed()  # the cut is from an earlier call
        cut = self._cut
        name, note = preferred_engine(name, cut)
        if note and self.precision == "fp32":  # else it is refused, and that says why
            reporter.say(note)
        if name == "native":
            return ENGINES[name](cut, n_threads, self.precision)
        first = items[: 4 * CALIBRATION_SIZE]
        found, _ = prepared_alike(first, self.backbone.spec.preprocess, CALIBRATION_SIZE)
        batch = stacked(found) if found else blank_batch(cut.inputs, 1)
        spec_id = FeatureSpec(self.backbone.spec, self.taps, self.precision).fingerprint()
        kept = KeptModel.of(compiled_id(spec_id, cut), engine_identity(name), reporter.say)
        checked = checked_engine(cut, name, n_threads, batch, self.precision, kept)
        if checked.refused:
            reporter.say(checked.refused)
        return checked.engine

    def _scored(self, features: Mapping[str, Array]) -> Float64:
        read = {tap: as_read(rows) for tap, rows in features.items()}
        return self.head.predict_proba(self.recipe.transform(read))

    @cached_property
    def _cut(self) -> Cut:
        cut = self.backbone.cut_at(self.taps)
        return QuantisedCut(cut, self.network) if self.network else cut

    def _prediction(self, key: str, row: Array, reason: str) -> Prediction:
        if reason:
            return Prediction(key, None, float("nan"), reason)
        column = int(row.argmax())
        return Prediction(key, self.classes[column], float(row[column]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the predictor as a folder: ``predictor.json`` and ``head-….safetensors``.

        An older predictor of that name is replaced, at once or not at all; whatever else lies in
        its folder is left alone. A folder of another kind is refused.
        """
        folder = as_path("path", path).resolve()
        refuse_foreign(folder)
        recipe, before = self.recipe.to_state()
        head, learned = self.head.to_state()
        packed = {f"{RECIPE}.{name}": array for name, array in before.items()}
        packed |= {f"{HEAD}.{name}": array for name, array in learned.items()}
        if self.network:
            packed[f"{NETWORK}.{self.precision}"] = np.frombuffer(self.network, np.uint8)
        arrays = save({name: np.ascontiguousarray(array) for name, array in packed.items()})
        sha256 = hashlib.sha256(arrays).hexdigest()
        file = f"{HEAD}-{sha256[:16]}.safetensors"
        write_durably(folder / file, arrays)
        # One rename makes the new predictor valid; until then the older one is.
        fields = self._fields(recipe, {**head, "file": file, "sha256": sha256})
        write_durably(folder / MANIFEST, json.dumps(signed(fields), indent=1).encode())
        with told(folder, "written"):
            for old in folder.glob(f"{HEAD}-*.safetensors"):
                if old.name != file:
                    old.unlink()

    def _fields(self, recipe: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "modality": self.backbone.spec.modality,
            "backbone": self.backbone.spec.to_json(),
            "load_name": self.backbone.load_name,
            "recipe": recipe,
            "head": head,
            "seed": self.seed,
            "storage": self.storage,
            "precision": self.precision,
            "card": self.card,
            "trained_on": sorted(self.trained_on),
        }


def short_digest(digest: str) -> str:
    """Return the part of a payload digest that a predictor remembers."""
    return digest[:_DIGEST_DIGITS]


def refuse_foreign(folder: Path) -> None:
    """Raise `UsageError` if writing a predictor to `folder` would destroy something else."""
    is_ours = folder.is_dir() and (
        (folder / MANIFEST).exists() or {each.name for each in folder.iterdir()} <= {BAD_ROWS}
    )
    if folder.exists() and not is_ours:
        other = (folder.resolve() / "model.cutpoint") if folder.is_dir() else f"{folder}.cutpoint"
        raise UsageError(
            f'A predictor can\'t be saved as "{folder}".',
            "Something else is there.",
            "A new name, or the folder of an older predictor, which is then replaced.",
            f"Type, for example:  -o {other}",
        )


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
    folder = as_path("path", path)
    if backbone is not None and trust_weights:
        raise UsageError(
            "trust_weights was given beside a backbone that is loaded already.",
            "It says what may be loaded, and nothing is.",
            "The backbone alone.",
            "Leave out trust_weights",
        )
    fields = _read_manifest(folder)
    if not isinstance(fields.get("modality"), str):
        raise _broken(folder, f"{MANIFEST} names no modality")
    _refuse_unknown_kind(folder, fields["modality"])
    try:
        return _predictor(folder, fields, backbone, trust_weights)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _broken(folder, f"{MANIFEST} lacks or misspells something ({error!r})") from error


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
    fields = _read_manifest(folder)
    try:
        arrays = _read_arrays(folder, fields["head"])
        return _recipe(folder, fields["recipe"], _part(arrays, RECIPE))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise _broken(folder, f"{MANIFEST} lacks or misspells something ({error!r})") from error


def signed(fields: dict[str, Any]) -> dict[str, Any]:
    """Return `fields` with the sha256 of their canonical JSON."""
    bare = {name: value for name, value in fields.items() if name != "sha256"}
    return {**bare, "sha256": hashlib.sha256(canonical_json(bare).encode()).hexdigest()}


def _predictor(
    folder: Path, fields: dict[str, Any], backbone: Backbone | None, trust_weights: bool
) -> Predictor:
    spec = _backbone_spec(folder, fields["backbone"])
    options = LoadOptions(spec.preprocess, trust_weights, inputs=dict(spec.constants) or None)
    found = backbone or load_backbone(fields["load_name"], options)
    if found.spec != spec:
        raise _broken(
            folder, f"it was fitted on another {spec.id}: {_difference(spec, found.spec)}"
        )
    arrays = _read_arrays(folder, fields["head"])
    recipe = _recipe(folder, fields["recipe"], _part(arrays, RECIPE))
    head = _head(folder, fields["head"], _part(arrays, HEAD))
    _check_parts(folder, fields, found, recipe, head)
    precision = fields.get("precision", "fp32")  # a field younger than the format
    network = _network(folder, precision, _part(arrays, NETWORK))
    made = Predictor(
        backbone=found,
        recipe=recipe,
        head=head,
        trained_on=frozenset(fields["trained_on"]),
        seed=fields["seed"],
        card=fields["card"],
        storage=fields["storage"],
        precision=precision,
        network=network,
    )
    try:
        str(made)  # a card that can't be printed is told now, as all else that is misspelt
    except (ValueError, OverflowError) as error:
        raise _broken(folder, f"its card can't be printed ({error})") from error
    return made


def _backbone_spec(folder: Path, fields: Any) -> BackboneSpec:
    try:
        spec = BackboneSpec.from_json(fields)
        spec.preprocess.check()
        return spec
    except (ValueError, OverflowError) as error:
        raise _broken(folder, f"its backbone is misspelt ({error})") from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        fields = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(folder, f"{MANIFEST} can't be read ({error})") from error
    if not isinstance(fields, dict):
        raise _broken(folder, f"{MANIFEST} holds no JSON object")
    found = fields.get("format")
    if type(found) is int and found > FORMAT:
        raise PredictorError(
            f'The predictor "{folder}" is of a later release.',
            f"Its format is {found}.",
            f"This release reads format {FORMAT}.",
            "Upgrade with:  pip install --upgrade cutpoint-ml",
        )
    if found != FORMAT:
        raise _broken(folder, f"its format is {found!r}, this release reads {FORMAT}")
    if signed(fields)["sha256"] != fields.get("sha256"):
        raise _broken(folder, f"{MANIFEST} was changed after it was written")
    return fields


def _read_arrays(folder: Path, fields: dict[str, Any]) -> dict[str, Array]:
    try:
        data = (folder / Path(fields["file"]).name).read_bytes()
        arrays: dict[str, Array] = load(data)
    except (OSError, ValueError, SafetensorError) as error:
        raise _broken(folder, f"{fields['file']!r} can't be read ({error})") from error
    if hashlib.sha256(data).hexdigest() != fields["sha256"]:
        raise _broken(folder, f"{fields['file']} differs from the digest in {MANIFEST}")
    return arrays


def _part(arrays: dict[str, Array], name: str) -> dict[str, Array]:
    """Return the arrays of recipe or head, under their own names."""
    start = f"{name}."
    return {n.removeprefix(start): each for n, each in arrays.items() if n.startswith(start)}


def _network(folder: Path, precision: str, arrays: dict[str, Array]) -> bytes:
    """Return the quantised network, which int8 has and no other precision."""
    if precision not in PRECISIONS:
        raise _broken(folder, f"its precision is {precision!r}")
    if list(arrays) != (["int8"] if precision == "int8" else []):
        raise _broken(folder, f"its precision is {precision}, its networks {list(arrays)}")
    return b"".join(array.tobytes() for array in arrays.values())


def _head(folder: Path, fields: dict[str, Any], arrays: dict[str, Array]) -> Head:
    try:
        return head_from_state(fields, arrays)
    except PredictorError as error:
        raise _broken(folder, f"its head can't be restored: {error.__cause__}") from error


def _recipe(folder: Path, fields: dict[str, Any], arrays: dict[str, Array]) -> FittedRecipe:
    try:
        return FittedRecipe.from_state(fields, arrays)
    except ValueError as error:  # errors of this package among them
        why = getattr(error, "got", error)
        raise _broken(folder, f"its recipe can't be restored: {why}") from error


def _check_parts(
    folder: Path, fields: dict[str, Any], backbone: Backbone, recipe: FittedRecipe, head: Head
) -> None:
    """Raise `PredictorError` unless backbone, recipe and head fit one another."""
    names = [row.name for row in backbone.layers().rows]
    strange = [tap for tap in recipe.taps if TapSpec.from_name(tap).layer not in names]
    if strange:
        raise _broken(folder, f'its backbone has no tap "{strange[0]}"')
    if fields["storage"] not in STORAGES:
        raise _broken(folder, f"its storage is {fields['storage']!r}")
    if not isinstance(fields["card"], dict):
        raise _broken(folder, "its card is no mapping")
    wrong = _wrong_head(recipe, head)
    if wrong:
        raise _broken(folder, wrong)


def _wrong_head(recipe: FittedRecipe, head: Head) -> str:
    """Return what is wrong with a head after a recipe; empty if nothing is."""
    classes = set(map(str, head.classes_))
    if len(classes) < 2 or len(classes) < len(head.classes_):
        return f"its head tells {len(head.classes_)} classes of {len(classes)} names"
    if not isinstance(head.temperature_, float | int) or not 0 < head.temperature_ < np.inf:
        return f"its head's temperature is {head.temperature_!r}"
    if head.takes != "vectors":
        return ""
    if recipe.after and recipe.after[-1].check_restored() != head.n_features_in_:
        return f"its head takes {head.n_features_in_} columns, its recipe makes others"
    try:
        found = head.predict_proba(np.zeros((1, head.n_features_in_), np.float32))
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        return f"its head can't score ({error})"
    return "" if np.isfinite(found).all() else "its head holds NaN or infinity"


def _difference(then: BackboneSpec, now: BackboneSpec) -> str:
    old, new = asdict(then), asdict(now)
    changed = [f"{name} was {old[name]}, is {new[name]}" for name in old if old[name] != new[name]]
    return "; ".join(changed)


def _broken(folder: Path, what: str) -> PredictorError:
    return PredictorError(
        f'The predictor "{folder}" was to be loaded.',
        f"It can't be: {what}.",
        f"A folder with {MANIFEST} and {HEAD}-….safetensors as `save` wrote them.",
        f"Make it again with:  cutpoint fit DATA -o {folder}",
    )
