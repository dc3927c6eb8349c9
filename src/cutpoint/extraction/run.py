"""Extraction from end to end: digest, plan, compute what is missing, commit, view."""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cutpoint.backbone import Backbone
from cutpoint.data import Dataset, Item, cross_split_duplicates, digest_payload, read_payload
from cutpoint.engines import ENGINES, checked_engine, engine_identity, preferred_engine
from cutpoint.errors import BadItem, DataError, StoreError, TooManyBadItems
from cutpoint.extraction.executors import LocalExecutor
from cutpoint.extraction.plan import BATCH_SIZE, Plan, Unit, human_bytes, make_units, size_plan
from cutpoint.extraction.unit import UnitReceipt, prepare, run_unit
from cutpoint.progress import Reporter
from cutpoint.spec import FeatureSpec, TapSpec
from cutpoint.store import Features, FeatureStore
from cutpoint.store.catalog import BAD, NOTE, EngineRecord, Remark
from cutpoint.store.halves import as_stored
from cutpoint.types import Array, Batch, Cut, Engine, Run


@dataclass(frozen=True)
class ExtractOptions:
    """How to run; none of it changes the numbers.

    Attributes
    ----------
    engine : {"auto", "native", "openvino"}
    n_workers : int or None
        Threads; as many as cores if None.
    max_bad : float
        Share of items that may be quarantined before the run stops, 0–1.
    """

    engine: str = "auto"
    n_workers: int | None = None
    max_bad: float = 0.01


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes
    ----------
    features : Features
    dataset : Dataset
        Without its bad items, with all that was noticed.
    plan : Plan
    n_forward : int
        Items that went through the network; 0 if all were stored.
    n_calibration : int
        Items that went through it before, for the parity gate.
    engine : str
        Which engine ran; empty if none did.
    seconds : float
        Digesting, computing and committing.
    """

    features: Features
    dataset: Dataset
    plan: Plan
    n_forward: int
    n_calibration: int
    engine: str
    seconds: float


@dataclass
class _Tally:
    """What went wrong so far, against what may."""

    n_items: int
    max_bad: float
    copies: dict[str, list[str]] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    n_forward: int = 0

    def add(self, receipt: UnitReceipt) -> None:
        self.n_forward += receipt.n_forward
        self.notes.extend(receipt.notes)
        self.add_bad(receipt.bad)

    def add_bad(self, rows: Sequence[tuple[str, str]]) -> None:
        for key, reason in rows:
            self.bad[key] = reason
            for copy in self.copies.get(key, ()):  # not computed again, so bad too
                self.bad[copy] = f"same bytes as {key}: {reason}"
        if len(self.bad) > self.max_bad * self.n_items:
            raise self._too_many()

    def _too_many(self) -> TooManyBadItems:
        share = len(self.bad) / self.n_items
        error = TooManyBadItems(
            f"Up to {self.max_bad:.1%} of {self.n_items} items may be bad.",
            f"{len(self.bad)} are so far ({share:.1%}); first: "
            + "; ".join(f"{key}: {reason}" for key, reason in list(self.bad.items())[:3]),
            "Fewer bad items, or a higher limit; what was computed is kept in the store.",
            "Go on whatever comes, and count them all, with:  --max-bad 1",
        )
        error.quarantined = tuple(self.bad.items())
        return error


def extract_features(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    options: ExtractOptions,
    reporter: Reporter,
) -> Extraction:
    """Compute what the store lacks and return the features of `dataset`.

    Raises
    ------
    TooManyBadItems
        If more than `max_bad` of the items can't be used; what was computed stays stored.
    StoreError
        If the disk is full or read-only; the store still opens.
    """
    start = time.perf_counter()
    n_all = len(dataset) + len(dataset.quarantined)
    tally = _Tally(n_all, options.max_bad)
    tally.add_bad(dataset.quarantined)
    digests = _digests(dataset, tally, options, reporter)
    tally.copies = _copies(dataset, digests)
    spec_id = spec.fingerprint()
    engine, n_calibration = "", 0
    with store.writing(spec, lambda: reporter.say(f"Waiting: {store.path} has a writer already")):
        for name in store.drop_damaged(spec_id):
            reporter.say(f"Shard {name} is damaged: dropped, its items are computed again")
        stored = set(store.places(spec_id))
        still_bad = _still_bad(dataset, digests, spec, store, tally)
        units = make_units(dataset.items, digests, stored | still_bad)
        n_items = sum(digest not in still_bad for digest in digests.values())
        plan = Plan(n_items, n_items, ())
        if units:
            job = _Job.set_up(backbone, spec, store, options, units, tally, reporter)
            plan = job.plan(n_items, units)
            engine, n_calibration = job.engine.name, job.n_calibration
        reporter.say(str(plan))
        if units:
            job.run(plan, tally, reporter)
        store.catalog.add_remarks(spec_id, _remarks(tally, digests))
        final = _final_dataset(dataset, digests, tally)
        macs = {tap.layer: backbone.layers()[tap.layer].macs for tap in spec.taps}
        view = store.save_view(spec, final, digests, macs)
    seconds = time.perf_counter() - start
    return Extraction(
        store.open(view), final, plan, tally.n_forward, n_calibration, engine, seconds
    )


@dataclass
class _Job:
    """An engine ready to compute units of one spec into one store."""

    spec: FeatureSpec
    store: FeatureStore
    engine: Engine
    record: EngineRecord
    n_calibration: int
    executor: LocalExecutor

    @classmethod
    def set_up(
        cls,
        backbone: Backbone,
        spec: FeatureSpec,
        store: FeatureStore,
        options: ExtractOptions,
        units: Sequence[Unit],
        tally: _Tally,
        reporter: Reporter,
    ) -> _Job:
        """Choose the engine; pass it through the parity gate unless this store knows it."""
        cut = backbone.cut_at(spec.taps)
        executor = LocalExecutor(options.n_workers)
        name, note = preferred_engine(options.engine, cut)
        if note:
            reporter.say(note)
        identity = engine_identity(name)
        known = store.catalog.engine(spec.fingerprint(), identity)
        if known is not None:
            return cls(spec, store, ENGINES[name](cut, executor.n_workers), known, 0, executor)
        reporter.say(f"Prepare engine {name} and compare it with the framework itself")
        batch, prepare_s = _calibration_batch(units, spec, cut)
        checked = checked_engine(cut, name, executor.n_workers, batch)
        if checked.refused:
            reporter.say(checked.refused)
        _say_what_gem_loses(backbone, spec, batch[:2], reporter)
        record = EngineRecord(
            engine=identity,
            cosine=checked.parity.cosine,
            relative_error=checked.parity.relative_error,
            engine_s=checked.seconds / len(batch),
            prepare_s=prepare_s,
            row_bytes=_row_bytes(checked.features, spec.storage),
        )
        if checked.engine.name == name:
            store.add_engine(spec.fingerprint(), record)
        return cls(spec, store, checked.engine, record, len(batch), executor)

    def plan(self, n_items: int, units: tuple[Unit, ...]) -> Plan:
        prepared = self.spec.backbone.preprocess
        item_bytes = math.prod(prepared.array_shape) * np.dtype(prepared.dtype).itemsize
        n_workers = self.executor.n_workers
        n_engines = 1 if self.engine.is_serial else n_workers
        plan = size_plan(n_items, units, self.record, n_workers, n_engines, item_bytes)
        free = shutil.disk_usage(_existing(self.store.path)).free
        if plan.disk_bytes > free:
            raise StoreError(
                f'{human_bytes(plan.disk_bytes)} were to be written to "{self.store.path}".',
                f"That disk has {human_bytes(free)} left.",
                "A disk with more space, or fewer taps and pools.",
                "Put the store elsewhere with:  --store FOLDER",
            )
        return plan

    def run(self, plan: Plan, tally: _Tally, reporter: Reporter) -> None:
        """Compute the units; commit each receipt as it comes."""
        folder = self.store.shard_folder(self.spec.fingerprint())
        with reporter.bar(f"Extract ({self.engine.name})", plan.n_to_compute) as advance:

            def make_worker() -> Callable[[Unit], UnitReceipt]:
                session: Run = self.engine.session()
                name = self.engine.name
                return lambda unit: run_unit(unit, self.spec, folder, name, session, advance)

            for receipt in self.executor.map(make_worker, plan.units):
                if receipt.shard is not None:
                    self.store.commit(receipt.shard)
                tally.add(receipt)


def _row_bytes(features: Mapping[str, Array], storage: str) -> int:
    """Return the bytes of one item as it is stored."""
    return sum(as_stored(tap, rows[:1], storage).nbytes for tap, rows in features.items())


def _say_what_gem_loses(
    backbone: Backbone, spec: FeatureSpec, batch: Batch, reporter: Reporter
) -> None:
    """Say which taps pool by GeM what goes below zero, as read off a few items."""
    taps = [tap for tap in spec.taps if tap.pool.partition("(")[0] == "gem"]
    if not taps:
        return
    whole = [TapSpec(layer, "none") for layer in dict.fromkeys(tap.layer for tap in taps)]
    activations = backbone.cut_at(whole)(batch)
    for tap in taps:
        if (activations[f"{tap.layer}/none"] < 0).any():
            reporter.say(
                f"{tap.name}: values below zero are raised to 1e-6; s{tap.pool} keeps them"
            )


def _calibration_batch(units: Sequence[Unit], spec: FeatureSpec, cut: Cut) -> tuple[Batch, float]:
    """Return the first few items that can be prepared, and the seconds one takes."""
    images = []
    start, n_tried = time.perf_counter(), 0
    for item in units[0].items:
        n_tried += 1
        try:
            images.append(prepare(item, spec.backbone.preprocess)[0])
        except BadItem:
            continue
        if len(images) == BATCH_SIZE:
            break
    seconds = (time.perf_counter() - start) / max(n_tried, 1)
    if not images:  # nothing but bad items; any input will do to set the engine up
        images = [np.zeros(cut.input_shape, cut.input_dtype)]
    return np.stack(images), seconds


def _digests(
    dataset: Dataset, tally: _Tally, options: ExtractOptions, reporter: Reporter
) -> dict[str, str]:
    """Return key → payload digest of all items that can be read."""

    def digest(item: Item) -> tuple[str, str | None, str]:
        try:
            return item.key, digest_payload(read_payload(item)), ""
        except BadItem as error:
            return item.key, None, error.reason

    found: dict[str, str] = {}
    with (
        ThreadPoolExecutor(LocalExecutor(options.n_workers).n_workers) as pool,
        reporter.bar("Read and digest", len(dataset), "files") as advance,
    ):
        for key, sha256, reason in pool.map(digest, dataset.items):
            advance(1)
            if sha256 is None:
                tally.add_bad([(key, reason)])
            else:
                found[key] = sha256
    if not found:
        raise DataError(
            f'The items of "{dataset.name}" were to be read.',
            f"None of {len(dataset)} can be; first: {next(iter(tally.bad.items()), None)}.",
            "Files this user may read.",
            f"Look at them with:  ls -l {dataset.name}",
        )
    return found


def _still_bad(
    dataset: Dataset,
    digests: Mapping[str, str],
    spec: FeatureSpec,
    store: FeatureStore,
    tally: _Tally,
) -> set[str]:
    """Recall what earlier runs noticed; return the payloads that were bad and still are.

    They are prepared once more, as a plug-in may be there by now, but no engine is started for
    them. Notes on stored payloads go to the tally.
    """
    remarks = store.remarks(spec.fingerprint())
    notes = defaultdict(list)
    for digest, kind, text in remarks:
        if kind == NOTE:
            notes[digest].append(text)
    bad = {digest for digest, kind, _ in remarks if kind == BAD}
    seen: set[str] = set()
    still_bad = set()
    for item in dataset.items:
        digest = digests.get(item.key, "")
        tally.notes += [(item.key, text) for text in notes.get(digest, ())]
        if digest in bad and digest not in seen:
            seen.add(digest)
            try:
                prepare(item, spec.backbone.preprocess, digest)
            except BadItem as error:
                still_bad.add(digest)
                tally.add_bad([(item.key, error.reason)])
    return still_bad


def _remarks(tally: _Tally, digests: Mapping[str, str]) -> list[Remark]:
    """Return what this run noticed about payloads, for the next one."""
    bad = [(key, BAD, reason) for key, reason in tally.bad.items()]
    notes = [(key, NOTE, note) for key, note in tally.notes]
    return [(digests[key], kind, text) for key, kind, text in bad + notes if key in digests]


def _copies(dataset: Dataset, digests: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, for the first item of each payload, the keys of the others that have it."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for item in dataset.items:
        if item.key in digests:
            by_digest[digests[item.key]].append(item.key)
    return {keys[0]: keys[1:] for keys in by_digest.values() if len(keys) > 1}


def _final_dataset(dataset: Dataset, digests: Mapping[str, str], tally: _Tally) -> Dataset:
    """Return the data set without its bad items, with all that was noticed."""
    kept = tuple(i for i in dataset.items if i.key not in tally.bad and i.key in digests)
    final = replace(dataset, items=kept, quarantined=tuple(sorted(tally.bad.items())))
    return final.with_warnings(*_leak_warnings(final, digests), *_note_lines(tally.notes))


def _leak_warnings(dataset: Dataset, digests: Mapping[str, str]) -> list[str]:
    twins = cross_split_duplicates(dataset, digests)
    if not twins:
        return []
    first = " = ".join(twins[0])
    return [f"LEAKAGE: {len(twins)} payloads are in more than one split, such as {first}"]


def _note_lines(notes: Sequence[tuple[str, str]]) -> list[str]:
    notes = list(dict.fromkeys(notes))
    counts = Counter(note for _, note in notes)
    first = {note: key for key, note in reversed(notes)}
    return [f"{count} × {note} (first: {first[note]})" for note, count in counts.items()]


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
