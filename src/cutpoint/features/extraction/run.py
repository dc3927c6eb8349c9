"""Extraction from end to end: digest, plan, compute what is missing, commit, view."""

from __future__ import annotations

import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import check_share, check_workers
from cutpoint.base.contracts import Engine
from cutpoint.base.errors import BadItem, DataError, TooManyBadItems
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, Preprocess
from cutpoint.base.stopwatch import Stopwatch
from cutpoint.base.tongue import option
from cutpoint.features.extraction.drift import check_drift
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.job import Job
from cutpoint.features.extraction.plan import Plan, make_units
from cutpoint.features.extraction.profile import Profile
from cutpoint.features.extraction.quantising import quantised_spec
from cutpoint.features.extraction.unit import UnitReceipt, prepare, refuse_misfit
from cutpoint.features.store import Features, FeatureStore
from cutpoint.features.store.catalog import BAD, NOTE
from cutpoint.features.store.store import view_fields
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading import (
    Dataset,
    Item,
    conflicting_labels,
    cross_split_duplicates,
    digest_payload,
    read_payload,
    refuse_other_kind,
)
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import ENGINES, check_engine, preferred_engine, refuse_precision
from cutpoint.networks.layer_table import warn_of_probabilities
from cutpoint.networks.pooling import map_layouts

N_CONFLICTS = 5  # payloads of several labels that are listed
_DIGESTED_AT_ONCE = 16  # files a task; one each, handing out takes longer than reading


@dataclass(frozen=True)
class ExtractOptions:
    """How to run; none of it changes the numbers.

    Attributes
    ----------
    engine : {"auto", "openvino", "onnxruntime", "torch", "native"}
    n_workers : int or None
        Threads; as many as cores if None.
    max_bad : float
        Share of items that may be quarantined before the run stops, 0–1.
    is_sample : bool
        Whether the items are some of a data set: rows are stored, but no view of them.
    """

    engine: str = "auto"
    n_workers: int | None = None
    max_bad: float = 0.01
    is_sample: bool = False

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no run can serve, before there is one."""
        check_engine(self.engine)
        check_workers(self.n_workers)
        check_share("max_bad", self.max_bad)


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
    profile : Profile
        Where they went.
    counts : mapping of str → list of int
        What is counted of each item of `dataset`, in its order; empty of kinds that count nothing.
    """

    features: Features
    dataset: Dataset
    plan: Plan
    n_forward: int
    n_calibration: int
    engine: str
    seconds: float
    profile: Profile
    counts: Mapping[str, list[int]] = field(default_factory=dict)


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
        for key, note in receipt.notes:
            self.notes += [(each, note) for each in (key, *self.copies.get(key, ()))]
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
            f"{len(self.bad)} of {self.n_items} items are bad, more than {self.max_bad:.1%}.",
            f"That is {share:.1%} so far; first: "
            + "; ".join(f"{key}: {reason}" for key, reason in list(self.bad.items())[:3]),
            "Fewer bad items, or a higher limit; what was computed is kept in the store.",
            f"Go on whatever comes, and count them all, with:  {option('max_bad', 1)}",
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
    facts: Mapping[str, Any] | None = None,
) -> Extraction:
    """Compute what the store lacks and return the features of `dataset`.

    A spec of int8 is completed first: its network is quantised by training items of `dataset`.
    `facts` are kept in the view.

    Raises
    ------
    TooManyBadItems
        If more than `max_bad` of the items can't be used; what was computed stays stored.
    StoreError
        If the disk is full or read-only; the store still opens.
    UsageError
        If the engine does not compute in the precision.
    """
    start = time.perf_counter()
    refuse_precision(options.engine, spec.precision)
    refuse_other_kind(dataset, spec.backbone.preprocess.kind)
    refuse_misfit(dataset.items, spec.backbone.preprocess)
    if options.engine != "auto":  # refused now, though all may be stored and no engine be needed
        preferred_engine(options.engine, backbone.cut_at(spec.taps))
    if spec.precision == "int8" and not spec.calibration:
        spec = quantised_spec(dataset, backbone, spec, store, reporter)
    watch = Stopwatch().start()
    n_all = len(dataset) + len(dataset.quarantined)
    tally = _Tally(n_all, options.max_bad)
    tally.add_bad(dataset.quarantined)
    digests = _digests(dataset, tally, options, reporter)
    watch.lap("digest")
    tally.copies = _copies(dataset, digests)
    counted = _counted(dataset, digests, spec.backbone.preprocess)
    if counted:
        watch.lap("preprocess")
    spec_id = spec.fingerprint()
    job = None
    wait = partial(reporter.say, f"Waiting: {store.path} has a writer already")
    with store.writing(spec, wait) as refusal:
        for line in () if refusal else store.mend(spec_id):
            reporter.say(line)
        stored = set(store.places(spec_id))
        still_bad = _still_bad(dataset, digests, spec, store, tally, stored)
        units = make_units(dataset.items, digests, stored | still_bad)
        n_items = sum(digest not in still_bad for digest in digests.values())
        plan = Plan(n_items, n_items, ())
        watch.lap("plan")
        if units and refusal:
            raise refusal
        if units:
            executor = LocalExecutor(options.n_workers)
            job = Job.set_up(backbone, spec, store, options.engine, executor, units, reporter)
            judge = partial(_engine_in_fp32, backbone, job)
            check_drift(units, spec.backbone.preprocess, judge, reporter)
            plan = job.plan(n_items, units)
        watch.stop()
        told = warn_of_probabilities([backbone.layers()[tap.layer] for tap in spec.taps])
        if told:
            reporter.say(told)
        plan = replace(plan, told=_told(counted, digests, spec.backbone.preprocess))
        for line in (str(plan), *plan.told):
            reporter.say(line)
        if job is not None:
            job.run(plan, tally.add, reporter)
        final = _final_dataset(dataset, digests, tally)
        for line in final.warnings[len(dataset.warnings) :] if not options.is_sample else ():
            reporter.say(f"Warning: {line}")
        store.require_rows(spec_id, {digests[item.key] for item in final.items})
        counts = _columns(counted, [digests[item.key] for item in final.items], spec)
        extra = {**_view_facts(backbone, spec), **(facts or {})}
        extra |= {"counts": counts} if counts else {}
        if refusal:
            reporter.say(f"{store.path} may only be read: all rows are there; nothing is written")
        elif not options.is_sample:
            store.save_view(spec, final, digests, extra)
    features = store.features_of({**view_fields(spec, final, digests), **extra})
    seconds = time.perf_counter() - start
    engine, n_calibration = (job.engine.name, job.n_calibration) if job else ("", 0)
    laps, units_s = (job.laps, job.units_s) if job else ((), 0.0)
    profile = Profile.of(seconds, engine, watch.seconds, laps, units_s)
    return Extraction(
        features, final, plan, tally.n_forward, n_calibration, engine, seconds, profile, counts
    )


def _counted(
    dataset: Dataset, digests: Mapping[str, str], preprocess: Preprocess
) -> dict[str, Mapping[str, int]]:
    """Return what is counted of each payload that can be read; nothing of kinds that don't count.

    It is counted again in each run: that is cheap, and no shard needs to hold it.
    """
    kind = kind_named(preprocess.kind)
    found: dict[str, Mapping[str, int]] = {}
    for item in dataset.items if kind.COUNTS else ():
        digest = digests.get(item.key)
        if digest is not None and digest not in found:
            try:
                found[digest] = kind.counts(read_payload(item), preprocess)
            except BadItem:  # told where it is prepared
                continue
    return found


def _told(
    counted: Mapping[str, Mapping[str, int]], digests: Mapping[str, str], preprocess: Preprocess
) -> tuple[str, ...]:
    """Return what is to be said of the items counted, each as often as it is there."""
    kind = kind_named(preprocess.kind)
    rows = [counted[digest] for digest in digests.values() if digest in counted]
    columns = {name: [row[name] for row in rows] for name in kind.COUNTS}
    return tuple(kind.told(columns, preprocess)) if rows else ()


def _columns(
    counted: Mapping[str, Mapping[str, int]], digests: Sequence[str], spec: FeatureSpec
) -> dict[str, list[int]]:
    """Return what was counted of items, in their order; nothing if a file is gone meanwhile."""
    is_whole = all(digest in counted for digest in digests)
    names = kind_named(spec.backbone.preprocess.kind).COUNTS if is_whole else ()
    return {name: [counted[digest][name] for digest in digests] for name in names}


def _view_facts(backbone: Backbone, spec: FeatureSpec) -> dict[str, Any]:
    """Return what a view keeps of the layers: their cost, and the layouts of stored maps."""
    table = backbone.layers()
    layouts = map_layouts((table[tap.layer], tap.pool) for tap in spec.taps)
    facts: dict[str, Any] = {"macs": {tap.layer: table[tap.layer].macs for tap in spec.taps}}
    return {**facts, "layouts": layouts} if layouts else facts


def _engine_in_fp32(backbone: Backbone, job: Job) -> Engine:
    """Return what judges drift: precision is compared separately, so drift is always in fp32."""
    if job.spec.precision == "fp32":
        return job.engine
    return ENGINES["native"](backbone.cut_at(job.spec.taps), job.executor.n_workers)


def _digests(
    dataset: Dataset, tally: _Tally, options: ExtractOptions, reporter: Reporter
) -> dict[str, str]:
    """Return key → payload digest of all items that can be read."""
    n = _DIGESTED_AT_ONCE
    parts = [dataset.items[start : start + n] for start in range(0, len(dataset), n)]
    found: dict[str, str] = {}
    pool = ThreadPoolExecutor(LocalExecutor(options.n_workers).n_workers)
    try:
        with reporter.bar("Read and digest", len(dataset), "files") as advance:
            for good, bad in pool.map(partial(_digests_of, dataset.kind), parts):
                advance(len(good) + len(bad))
                found |= good
                tally.add_bad(bad)
    finally:
        pool.shutdown(cancel_futures=True)  # no more is read after Ctrl-C, or with too many bad
    if not found:
        raise DataError(
            f'None of the {len(dataset)} items of "{dataset.name}" can be read.',
            f"First: {next(iter(tally.bad.items()), None)}.",
            "Files this user may read.",
            f"Look at them with:  ls -l {dataset.name}",
        )
    return found


def _digests_of(kind: str, items: Sequence[Item]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return key → digest of those that can be read, and the others with their reasons."""
    good: dict[str, str] = {}
    bad = []
    for item in items:
        try:
            good[item.key] = digest_payload(read_payload(item), kind)
        except BadItem as error:
            bad.append((item.key, error.reason))
    return good, bad


def _still_bad(
    dataset: Dataset,
    digests: Mapping[str, str],
    spec: FeatureSpec,
    store: FeatureStore,
    tally: _Tally,
    stored: set[str],
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
    bad = {digest for digest, kind, _ in remarks if kind == BAD} - stored
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
    place = {item.key: number for number, item in enumerate(dataset.items)}
    # Units end in any order.
    notes = sorted(tally.notes, key=lambda note: (place[note[0]], note[1]))
    told = (*_leak_warnings(final, digests), *_conflict_warnings(final, digests))
    return final.with_warnings(*told, *_note_lines(notes))


def _leak_warnings(dataset: Dataset, digests: Mapping[str, str]) -> list[str]:
    twins = cross_split_duplicates(dataset, digests)
    if not twins:
        return []
    first = " = ".join(twins[0])
    return [f"LEAKAGE: {len(twins)} payloads are in more than one split, such as {first}"]


def _conflict_warnings(dataset: Dataset, digests: Mapping[str, str]) -> list[str]:
    twins = conflicting_labels(dataset, digests)
    lines = [" = ".join(f"{key} ({label})" for key, label in each) for each in twins]
    if not lines:
        return []
    shown, n_more = "; ".join(lines[:N_CONFLICTS]), len(lines) - N_CONFLICTS
    more = f"; and {n_more} more" if n_more > 0 else ""
    payload = next(item.payload for item in dataset.items if item.key == twins[0][-1][0])
    remedy = "Only one can be right: correct the other, or remove it"
    if isinstance(payload, Path):
        remedy += f", for example:  rm {shlex.quote(str(payload))}"
    return [f"CONFLICT: {len(lines)} payloads have several labels: {shown}{more}. {remedy}"]


def _note_lines(notes: Sequence[tuple[str, str]]) -> list[str]:
    notes = list(dict.fromkeys(notes))
    counts = Counter(note for _, note in notes)
    first = {note: key for key, note in reversed(notes)}
    return [f"{count} × {note} (first: {first[note]})" for note, count in counts.items()]
