"""The whole way from a frozen predictor to a tuned one, kept only if rows left out say so."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from cutpoint.base.contracts import Trainer, Tuning
from cutpoint.base.errors import LeakageError, UsageError, WeightsError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.tables import write_csv
from cutpoint.base.types import Array, Float64
from cutpoint.features.extraction import extract_features
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import (
    Dataset,
    assign_splits,
    check_for_fit,
    digest_payload,
    labelled,
    read_payload,
    refuse_unlearnable,
    settle_kind,
    without_unlabelled_splits,
)
from cutpoint.learning.choosing import ChooseOptions, fit_head
from cutpoint.learning.choosing.ranking_task import Task, zeros_and_ones
from cutpoint.learning.finetune import (
    BESIDE,
    Checkpoint,
    Fold,
    Plan,
    Ran,
    Rows,
    Searched,
    Setting,
    Start,
    between,
    epochs_for,
    find_rate,
    folds_for,
    is_linear,
    key_of,
    run,
    search,
    start_of,
)
from cutpoint.learning.heads import Classifier, Head, Labeller
from cutpoint.learning.heads.linear import GIVEN
from cutpoint.learning.metrics import conformal_margin
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.tuned import tuned_backbone
from cutpoint.products.evaluation import Evaluation, evaluate_predictor
from cutpoint.products.finetuning.cutting import CutNetwork, check_cut, cut_for, rows_of
from cutpoint.products.finetuning.options import FinetuneOptions
from cutpoint.products.predictor import Card, Predictor, refuse_foreign, short_digest

SPLITS = "splits.csv"


@dataclass(frozen=True)
class Problem:
    """What is learned, before anything is trained.

    Attributes
    ----------
    start : Predictor
        Frozen.
    task : Task
        The training rows that are there in every view.
    truth : array
        Numbers of classes in the order of the head's, or (n_items, n_outputs); values divided by
        `unit`.
    unit : float64 array of shape (n_outputs,)
        Deviation of each value; 1 of classes and labels.
    made : CutNetwork
    rows : Rows
    options : FinetuneOptions
    work : Path
        Where runs are kept while they go on.
    """

    start: Predictor
    task: Task
    truth: Array
    unit: Float64
    made: CutNetwork
    rows: Rows
    options: FinetuneOptions
    work: Path

    @property
    def n_rows(self) -> int:
        return len(self.task.rows)

    @property
    def taps(self) -> tuple[str, ...]:
        return _taps(self.start, self.options)

    @cached_property
    def whole(self) -> Start:
        """Where training on all rows starts: from the predictor's own recipe and head."""
        is_own = self.options.end is None and is_linear(self.start.head)
        if not is_own:
            return self.start_on(np.arange(self.n_rows))
        return start_of(self.start.recipe, self.start.head, self._features(self.task.rows))

    def start_on(self, places: Array) -> Start:
        """Return where training on some of the rows starts: recipe and head fitted on them."""
        part = self.task.part(places)
        recipe = parse_recipe("fuse") if self.options.end else self.start.recipe.recipe
        fitted, X = fit_recipe(recipe, part.features, self.taps, part.rows)
        head = _unfitted(self.start)
        fit_head(head, X, part)
        return start_of(fitted, head, self._features(part.rows))

    def _features(self, rows: Array) -> dict[str, Array]:
        return {tap: self.task.features.X(tap, rows) for tap in self.taps}

    def trainer(self, start: Start) -> Trainer:
        options = self.options
        blocks = list(dict.fromkeys(self.made.blocks.values()))
        shares = {
            name: options.lr_decay ** (len(blocks) - 1 - blocks.index(block))
            for name, block in self.made.blocks.items()
        }
        tuning = Tuning(
            trainable=self.made.trainable,
            chain=start.chain,
            W=start.W / self.unit,
            b=start.b / self.unit,
            loss=self.start.target,
            decay=options.weight_decay,
            smoothing=options.smoothing,
            dropout=options.dropout,
            pull=options.pull,
            shares=shares if options.lr_decay != 1 else {},
            rank=options.unfreeze.rank,
            seed=options.request.seed,
            device=options.device,
        )
        return self.made.suffix.trainer(tuning)

    def plan(self, rate: float) -> Plan:
        options = self.options
        n_epochs = options.epochs or epochs_for(self.n_rows)
        seed = options.request.seed
        return Plan(rate, n_epochs, options.batch_size, seed, schedule=options.schedule)

    def checkpoint(self, start: Start, places: Array, plan: Plan) -> Checkpoint:
        """Return the file of a run; another for anything that decides its numbers."""
        options = self.options
        fields = {
            "backbone": self.start.backbone.spec.to_json(),
            "unfreeze": str(options.unfreeze),
            "cut": self.made.cut,
            "trainable": list(self.made.trainable),
            "taps": list(self.taps),
            "plan": {k: v for k, v in vars(plan).items() if k != "until"},
            "views": options.views,
            "storage": options.request.storage,
            "loss": [options.weight_decay, options.smoothing, options.dropout, options.pull],
            "lr_decay": options.lr_decay,
            "alphas": list(options.alphas),
            "device": options.device,
            "version": version("cutpoint-ml"),
        }
        digests = self.task.features.digests[self.task.rows[places]].tolist()
        rows = hashlib.sha256("".join(digests).encode()).digest()
        arrays = {"W": start.W, "b": start.b, "truth": np.asarray(self.truth)[places]}
        key = key_of(fields, {**arrays, "rows": np.frombuffer(rows, np.uint8)})
        return Checkpoint(self.work / f"{key}.safetensors", options.checkpoint_s)


def run_finetune(
    dataset: Dataset,
    start: Predictor,
    options: FinetuneOptions,
    output: Path | None,
    reporter: Reporter,
) -> tuple[Predictor, Evaluation]:
    """Cut, store, search by rows left out, train on all training rows, score the test rows once."""
    if output is not None:
        refuse_foreign(output)
    _refuse_start(start)
    trains = start.backbone.trained_by  # or refused now
    trains.parameters(start.backbone.held_network(), start.backbone.layers())
    options = options.on_device(trains.training_device())
    dataset = _split(dataset, start, options, reporter)
    problem = prepared(dataset, start, options, reporter)
    searched = searched_for(problem, reporter)
    reporter.say(str(searched))
    found = _tuned(problem, searched, reporter)
    split = "test" if dataset.only("test").items else "val"
    evaluation = evaluate_predictor(found, dataset, split, True, reporter)
    found = replace(found, card=_carded(found, evaluation, dataset))
    if output is not None:
        found.save(output)
        rows = ((item.key, item.split, item.label) for item in dataset.items)
        write_csv(output / SPLITS, ("key", "split", "label"), rows)
    _forget(problem.work)
    return found, evaluation


def _forget(work: Path) -> None:
    """Delete the checkpoints of a run that has ended; what else may be there stays."""
    with contextlib.suppress(OSError):  # another like it may have ended meanwhile
        for path in work.glob("*.safetensors"):
            path.unlink(missing_ok=True)
        work.rmdir()


def prepared(
    dataset: Dataset, start: Predictor, options: FinetuneOptions, reporter: Reporter
) -> Problem:
    """Cut the network and store what lies below; test rows are not looked at.

    Parameters
    ----------
    dataset : Dataset
        Splits assigned.
    """
    backbone = start.backbone
    taps = _tap_specs(start, options)
    made = cut_for(backbone, taps, options)
    train = labelled(dataset.only("train"))
    reporter.say(_announced(made, options))
    check_cut(made, train.items)
    spec = FeatureSpec(backbone.spec, taps, "fp32", start.storage)
    store, how = FeatureStore(options.request.store), replace(options.request.how, is_sample=True)
    extraction = extract_features(train, backbone, spec, store, how, reporter)
    features = extraction.features
    rows, kept, said = rows_of(
        made, extraction.dataset, features, options, start.revision, reporter
    )
    reporter.say(said)
    _refuse_foreign_rows(start, dataset, features)
    task = Task.of(features, ChooseOptions(kind=start.target), kept)
    truth, unit = _truth(start, task)
    work = options.request.store / "finetune" / _run_name(start, options, features)
    return Problem(start, task, truth, unit, made, rows, options, work)


def _announced(made: CutNetwork, options: FinetuneOptions) -> str:
    where = f"cut at {made.cut}" if made.cut else "not cut"
    inside = ", ".join(dict.fromkeys(made.blocks.values()))
    return (
        f"Unfreeze {options.unfreeze}: {made.n_trainable} parameters in {len(made.trainable)} "
        f"tensors of {inside}; {where}; on {options.device}"
    )


def _run_name(start: Predictor, options: FinetuneOptions, features: Features) -> str:
    fields = {"backbone": start.backbone.spec.to_json(), "unfreeze": str(options.unfreeze)}
    digests = hashlib.sha256("".join(features.digests.tolist()).encode()).hexdigest()
    return key_of({**fields, "rows": digests, "seed": options.request.seed}, {})


def _refuse_start(start: Predictor) -> None:
    if start.precision != "fp32" or start.head.takes == "maps":
        what = (
            f"its network computes in {start.precision}"
            if start.precision != "fp32"
            else f"its head {start.head.kind} pools maps itself"
        )
        raise UsageError(
            f"This predictor is no start for fine-tuning: {what}.",
            "Training begins with a linear layer on pooled features of fp32.",
            "A predictor with a head of vectors, in fp32.",
            "Type, for example:  cp.fit(data)",
        )


def _taps(start: Predictor, options: FinetuneOptions) -> tuple[str, ...]:
    return tuple(tap.name for tap in _tap_specs(start, options))


def _tap_specs(start: Predictor, options: FinetuneOptions) -> tuple[TapSpec, ...]:
    """Return what the head sees: the start's taps, or the one at the end that was named."""
    if options.end is None:
        return start.taps
    layer = start.backbone.layers()[_as_tap(options.end)].name
    found = start.backbone.tap_specs([layer], ("auto",))
    return tuple(sorted(found, key=lambda tap: tap.pool != "gap")[:1])


def _as_tap(given: str | int) -> str | int:
    is_index = isinstance(given, str) and given.removeprefix("-").isdigit()
    return int(given) if is_index else given


def _unfitted(start: Predictor) -> Head:
    """Return the head to fit in a fold: of the start's kind, or the linear one beside it."""
    head = start.head
    if is_linear(head) and head.kind != GIVEN[start.target].kind:
        same: Head = clone(head)
        return same
    return BESIDE[start.target]()


def _split(
    dataset: Dataset, start: Predictor, options: FinetuneOptions, reporter: Reporter
) -> Dataset:
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    target = settle_kind(dataset, start.target, reporter.say)
    dataset = without_unlabelled_splits(dataset)
    refuse_unlearnable(dataset, target)
    dataset = assign_splits(dataset, start.seed, target)
    check_for_fit(dataset, False, target)
    if not is_linear(start.head):
        beside = BESIDE[target].kind
        reporter.say(f"The head {start.head.kind} is no linear layer: {beside} is fitted beside it")
    return dataset


def _refuse_foreign_rows(start: Predictor, dataset: Dataset, features: Features) -> None:
    """Raise `LeakageError` if the start has learned from rows that are held out here."""
    own = {short_digest(digest) for digest in features.digests}
    held = [item for item in dataset.items if item.split in ("test", "val")]
    kind = start.backbone.kind
    foreign = start.trained_on - own
    if not foreign:
        return
    seen = [i.key for i in held if short_digest(digest_payload(read_payload(i), kind)) in foreign]
    if seen:
        raise LeakageError(
            f"The start has learned from {len(seen)} of the rows that are held out here.",
            f"Among them: {', '.join(seen[:3])}.",
            "A start that was fitted on this data with these splits.",
            "Type, for example:  cp.fit(data)",
        )


def _truth(start: Predictor, task: Task) -> tuple[Array, Float64]:
    head = start.head
    if isinstance(head, Classifier):
        places = {str(name): place for place, name in enumerate(head.classes_.tolist())}
        strange = sorted({str(n) for n in task.features.labels[task.rows]} - places.keys())
        if strange:
            raise UsageError(
                f"The start knows no class {strange[0]!r}.",
                f"It knows {', '.join(places)}.",
                "A start that was fitted on this data.",
                "Type, for example:  cp.fit(data)",
            )
        labels = task.features.labels[task.rows]
        return np.array([places[str(label)] for label in labels]), np.ones(len(places))
    if isinstance(head, Labeller):
        names = [str(name) for name in head.labels_]
        found = zeros_and_ones(task.features.labels[task.rows], names)
        return found.astype(np.float32), np.ones(len(names))
    unit = task.targets.Y.std(axis=0)
    return (task.targets.Y / unit).astype(np.float32), unit


def searched_for(problem: Problem, reporter: Reporter) -> Searched:
    """Judge rates, epochs and ways back to the start, by training rows alone."""
    target, seed = problem.start.target, problem.options.request.seed
    groups = problem.task.groups
    folds = folds_for(target, problem.truth, groups, seed)
    plans = [problem.plan(rate) for rate in _rates(problem, reporter)]
    made = [_fold(problem, learn, judge) for learn, judge in folds]
    n_steps = sum(len(fold.learn) * plan.n_epochs for fold in made for plan in plans)
    with reporter.bar("Search", n_steps, "rows") as advance:
        return search(
            made,
            problem.rows,
            problem.truth,
            target,
            plans,
            problem.made.blocks,
            groups,
            problem.options.alphas,
            advance,
            _settled(problem),
        )


def _settled(problem: Problem) -> Setting | None:
    options = problem.options
    if options.choose:
        return None
    (rate,), (alpha,) = options.rates, options.alphas
    return Setting(rate, problem.plan(rate).n_epochs, alpha)


def _fold(problem: Problem, learn: Array, judge: Array) -> Fold:
    start = problem.start_on(learn)

    def checkpoint(rate: float) -> Checkpoint:
        return problem.checkpoint(start, learn, problem.plan(rate))

    return Fold(learn, judge, partial(problem.trainer, start), checkpoint)


def _rates(problem: Problem, reporter: Reporter) -> tuple[float, ...]:
    if problem.options.rates:
        return problem.options.rates
    everything = np.arange(problem.n_rows)
    trainer = problem.trainer(problem.whole)
    size, seed = problem.options.batch_size, problem.options.request.seed
    curve = find_rate(trainer, problem.rows, everything, problem.truth, size, seed=seed)
    reporter.say(str(curve))
    return (curve.suggested / 3, curve.suggested)


def _tuned(problem: Problem, searched: Searched, reporter: Reporter) -> Predictor:
    """Return the predictor that the search takes, trained on all training rows."""
    setting = searched.taken.setting
    told: dict[str, Any] = {**_facts(problem), "search": searched.to_json(), "text": str(searched)}
    if not setting.alpha:
        reporter.say("The start is kept: no change is shown to serve rows left out")
        return replace(problem.start, card=replace(problem.start.card, finetune=told))
    start = problem.whole
    plan = replace(problem.plan(setting.rate), until=setting.epoch)
    everything = np.arange(problem.n_rows)
    trainer = problem.trainer(start)
    before = trainer.weights()
    checkpoint = problem.checkpoint(start, everything, plan)
    with reporter.bar("Train", problem.n_rows * plan.n_run, "rows") as advance:
        ran = run(
            trainer,
            problem.rows,
            everything,
            problem.truth,
            plan,
            problem.made.blocks,
            checkpoint=checkpoint,
            advance=advance,
        )
    if not ran.is_finite:
        reporter.say("The start is kept: a loss was no number when all rows were trained on")
        return replace(problem.start, card=replace(problem.start.card, finetune=told))
    for warning in ran.warnings():
        reporter.say(f"Warning: {warning}")
    weights = between(before, trainer.weights(), setting.alpha)
    told |= {"history": _history(ran), "warnings": ran.warnings(), "setting": vars(setting)}
    return assembled(problem, searched, weights, told)


def _facts(problem: Problem) -> dict[str, Any]:
    made = problem.made
    return {
        "unfreeze": str(problem.options.unfreeze),
        "cut": made.cut,
        "trainable": list(made.trainable),
        "n_trainable": made.n_trainable,
        "views": problem.options.views,
        "start": problem.start.backbone.spec.id,
        "history": [],
    }


def _history(ran: Ran) -> list[dict[str, Any]]:
    return [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in each.items()}
        for each in ran.to_json()
    ]


def assembled(
    problem: Problem, searched: Searched, weights: Mapping[str, Array], told: dict[str, Any]
) -> Predictor:
    """Return the predictor of trained weights; nothing else of the network has changed."""
    start, whole, unit = problem.start, problem.whole, problem.unit
    backbone = _tuned_backbone(start.backbone, problem.made, weights)
    held_out = searched.held_out * unit
    truth = problem.truth if start.target != "values" else problem.task.targets.Y
    W, b = weights["head.W"] * unit, weights["head.b"] * unit
    head = GIVEN[start.target].of(W.astype(np.float64), b, start.head, held_out, truth)
    features, rows = problem.task.features, problem.task.rows
    judged = np.isfinite(held_out).all(axis=1)
    margin = (
        conformal_margin(np.abs(held_out - truth)[judged, 0]) if start.target == "values" else None
    )
    recipe = replace(whole.recipe, learned_from=frozenset(map(str, features.digests[rows])))
    return Predictor(
        backbone,
        recipe,
        head,
        frozenset(short_digest(digest) for digest in features.digests[rows]),
        start.seed,
        replace(start.card, finetune=told, hindsight=None),
        start.storage,
        revision=start.revision,
        margin=margin,
    )


def _tuned_backbone(frozen: Backbone, made: CutNetwork, weights: Mapping[str, Array]) -> Backbone:
    own = {name: weights[name] for name in made.trainable}
    base, before = (
        (frozen, {}) if frozen.tuned is None else (frozen.tuned.base, frozen.tuned.weights)
    )
    found = tuned_backbone(base, {**before, **own})
    _refuse_other_changes(frozen, found, set(own))
    return found


def _refuse_other_changes(frozen: Backbone, found: Backbone, announced: set[str]) -> None:
    """Raise `WeightsError` if anything but what was announced differs: weights or statistics."""
    was = frozen.framework.weights_digests(frozen.held_network())
    now = found.framework.weights_digests(found.held_network())
    pairs = zip(was.items(), now.values(), strict=True)
    changed = [name for (name, before), after in pairs if before != after]
    strange = sorted(set(changed) - announced)
    if strange:
        raise WeightsError(
            f'Training "{frozen.spec.id}" changed what is frozen: {strange[0]}.',
            f"{len(strange)} tensors differ that were not to be trained.",
            "None: this is a defect of cutpoint or of the network's own code.",
            "Report it, with the name of the network.",
        )


def _carded(found: Predictor, evaluation: Evaluation, dataset: Dataset) -> Card:
    spec = FeatureSpec(found.backbone.spec, found.taps, "fp32", found.storage)
    return replace(
        found.card,
        data=dataset.name,
        counts=dataset.counts(),
        backbone=found.backbone.spec.id,
        feature_spec=spec.fingerprint(),
        evaluation=evaluation.to_json(),
    )
