"""What a precision below fp32 costs, on training rows, before all items are computed in it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cutpoint.base.errors import StoreError, TooManyBadItems, UsageError
from cutpoint.base.files import READ_ONLY
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec
from cutpoint.base.tongue import option
from cutpoint.base.types import Array
from cutpoint.features.extraction import Extraction, ExtractOptions, extract_features
from cutpoint.features.extraction.bad_rows import write_bad_rows
from cutpoint.features.extraction.quantising import (
    calibration_items,
    quantised_spec,
    shuffled_training_items,
)
from cutpoint.features.extraction.request import Request
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import (
    AUTO,
    Dataset,
    assign_splits,
    can_be_split,
    labelled,
    names_in,
    tell_idle_seed,
    tell_kind,
    values_of,
)
from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.judge_taps import judge_set
from cutpoint.learning.choosing.prior_taps import prior_taps
from cutpoint.learning.choosing.ranking import METRICS
from cutpoint.learning.choosing.ranking_task import (
    ChooseOptions,
    Task,
    is_vector,
    zeros_and_ones,
)
from cutpoint.learning.metrics import Interval, paired_bootstrap
from cutpoint.learning.recipe import Recipe
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import Parity, compare, refuse_precision

N_CHECKED = 256  # training items that are computed in both
MAX_LOSS = 0.02
"""Accuracy, share of labels right or R² that any tap may lose. More is refused if it is more than
chance, too: if the interval of the paired difference, 95 % for all taps at once, is below zero."""
N_DRAWS = 10_000  # of the bootstrap: with 20 taps, 12 lie beyond each end


@dataclass(frozen=True)
class PrecisionCheck:
    """A precision against fp32 on the same training rows.

    Attributes
    ----------
    precision : str
    n_items : int
    cosine : float
        Smallest of two rows, over all taps and rows.
    n_in_scales : int
        Those among them that also set the scales of int8.
    n_judged, n_taps : int
        Items with labels, and ways to read the network: taps that are vectors, and the prior's
        taps fused; 0 if no accuracy was judged.
    tap : str
        The one among these that lost most, too much before others; empty if none was judged.
    fp32_accuracy, accuracy : float or None
        What it scores, rows left out one by one, in `metric`; None if none was judged.
    gain : Interval or None
        Their difference, paired bootstrap, 95 % for all of them at once (Bonferroni). None if no
        item differs, as no interval can be drawn from that.
    why_no_accuracy : str
    metric : str
        What was judged: accuracy of classes, labels right, R² of values.
    """

    precision: str
    n_items: int
    cosine: float
    n_in_scales: int = 0
    n_judged: int = 0
    n_taps: int = 0
    tap: str = ""
    fp32_accuracy: float | None = None
    accuracy: float | None = None
    gain: Interval | None = None
    why_no_accuracy: str = ""
    metric: str = METRICS["classes"]

    @property
    def is_refused(self) -> bool:
        """Whether accuracy falls by more than `MAX_LOSS`, and by more than chance."""
        return self.gain is not None and _is_too_much(self.gain)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        scales = f", {self.n_in_scales} of which set its scales" if self.n_in_scales else ""
        items = f"{self.n_items} training items{scales}"
        start = f"Precision {self.precision} against fp32 on {items}: "
        return f"{start}cosine {self.cosine:.4f} at worst; {self._accuracies()}"

    def _accuracies(self) -> str:
        if self.accuracy is None:
            return f"no {self.metric}, as {self.why_no_accuracy}"
        of = "" if self.n_judged == self.n_items else f" of {self.n_judged} with labels"
        start = f"leave-one-out {self.metric}{of} {self.fp32_accuracy:.3f} → {self.accuracy:.3f}"
        if self.gain is None:
            return f"{start}, no item differs ({self.tap}; {self.n_taps} candidates judged)"
        gain = f"{self.gain.value:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}]"
        return f"{start}, {gain} ({self.tap}, the worst of {self.n_taps} candidates)"


def extract_checked(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    options: ExtractOptions,
    reporter: Reporter,
    kind: str = AUTO,
) -> Extraction:
    """Extract; a precision below fp32 is first compared with it, told, and kept in the view.

    `kind` is what labels are: the comparison is by accuracy, labels right, or R².

    Raises
    ------
    UsageError
        If the precision costs too much accuracy: `PrecisionCheck.is_refused`.
    """
    if spec.precision == "fp32":
        return extract_features(dataset, backbone, spec, store, options, reporter)
    refuse_precision(options.engine, spec.precision)
    if spec.precision == "int8":
        spec = quantised_spec(dataset, backbone, spec, store, reporter)
    check, sample = check_precision(dataset, backbone, spec, store, options, reporter, kind)
    facts = None
    if check is None:
        why = "no usable training items"
        reporter.say(f"Precision {spec.precision} is not compared with fp32: {why}")
    else:
        for line in _lines(str(check)):
            reporter.say(line)
        facts = {"precision_check": check.to_json()}
        if check.is_refused:
            raise _too_much_lost(check)
    done = extract_features(dataset, backbone, spec, store, options, reporter, facts)
    return done if sample is None else _counting(sample, done)


def extract_requested(
    dataset: Dataset, backbone: Backbone, request: Request, reporter: Reporter, kind: str = AUTO
) -> Extraction:
    """Draw a test split where there is none, extract, list the bad items in the store's folder."""
    kind = tell_kind((item.label for item in dataset.items), kind, dataset.target).name
    if can_be_split(dataset, kind):
        tell_idle_seed(dataset, request.seed, reporter)
        dataset = assign_splits(dataset, request.seed, kind)
    reporter.say(f"Load {backbone.spec.id}")
    spec, store = request.spec(backbone), FeatureStore(request.store)
    try:
        done = extract_checked(dataset, backbone, spec, store, request.how, reporter, kind)
    except TooManyBadItems as error:
        write_bad_rows(store.path, error.quarantined)
        raise
    try:
        write_bad_rows(store.path, done.features.quarantined)
    except StoreError as error:
        if error.errno not in READ_ONLY:
            raise
        reporter.say(f"Bad items are listed in no file: {error.got}")
    return done


def check_precision(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    options: ExtractOptions,
    reporter: Reporter,
    kind: str = AUTO,
) -> tuple[PrecisionCheck | None, Extraction | None]:
    """Compare `spec` with the same in fp32 on some training items; None if there are none.

    Returned beside it is the extraction of these items by `spec`.

    The rows of both stay in the store, so a second run computes nothing. The items are the last
    in an order drawn by their keys; those that set the scales of int8 are the first, so that of
    384 items or more none is both.
    """
    items = shuffled_training_items(dataset)[-N_CHECKED:]
    if not items:
        return None, None
    sample = dataset.with_items(tuple(sorted(items, key=lambda item: item.key)))
    run = replace(options, max_bad=1.0, is_sample=True)  # all items are counted where all are run
    full = replace(spec, precision="fp32", calibration="")
    reporter.say(f"Compare precision {spec.precision} with fp32 on {len(items)} training items")
    done = extract_features(sample, backbone, spec, store, run, reporter)
    theirs = extract_features(sample, backbone, full, store, run, reporter).features
    rows = _same_rows(done.features, theirs)
    if not len(rows[0]):
        return None, done
    keys = set(done.features.keys[rows[0]])
    # Numbers few of which are alike may be classes among all items, so all say what labels are.
    labels = (item.label for item in (labelled(dataset).only("train").items or dataset.items))
    kind = tell_kind(labels, kind, dataset.target).name
    found = _judged_rows(done.features, theirs, *rows, kind=kind)
    return replace(found, n_in_scales=_n_in_scales(dataset, spec, keys)), done


def _counting(sample: Extraction, done: Extraction) -> Extraction:
    """Return an extraction that counts as its own what was computed for the comparison."""
    n_new = len(sample.dataset) - sample.plan.n_stored
    return replace(
        done,
        plan=replace(done.plan, n_stored=done.plan.n_stored - n_new),
        n_forward=done.n_forward + sample.n_forward,
        n_calibration=done.n_calibration + sample.n_calibration,
        engine=done.engine or sample.engine,
        seconds=done.seconds + sample.seconds,
    )


def _judged_rows(ours: Features, theirs: Features, *rows: Array, kind: str) -> PrecisionCheck:
    """Compare rows of the same items, in the precision and in fp32."""
    cosine = _compared(ours, theirs, *rows).cosine
    found = PrecisionCheck(ours.spec.precision, len(rows[0]), cosine, metric=METRICS[kind])
    labelled = np.array([label is not None for label in ours.labels[rows[0]]])
    mine, yours = (each[labelled] for each in rows)
    taps = [tap for tap in ours.taps if is_vector(ours, tap)]
    why = _why_no_accuracy(ours, mine, taps, kind)
    if why:
        return replace(found, why_no_accuracy=why)
    sets = _sets(ours, mine, taps, kind)
    before = [_judged(theirs, yours, each, kind) for each in sets]
    after = [_judged(ours, mine, each, kind) for each in sets]
    unit = float(values_of(ours.name, ours.labels[mine]).var()) if kind == "values" else 1.0
    return _with_worst(found, before, after, unit)


def _with_worst(
    check: PrecisionCheck,
    before: Sequence[Candidate],
    after: Sequence[Candidate],
    unit: float = 1.0,
) -> PrecisionCheck:
    """Add the tap that lost most: its loss, by an interval that allows for its being picked.

    `unit` is the outcome that is one whole: 1 for accuracy, the variance for R².
    """
    # Not `max_t`: its one width for all is that of the noisiest tap, and hides the others' losses.
    confidence = 1 - 0.05 / len(after)
    gains = [
        paired_bootstrap(
            ours.outcomes / unit, theirs.outcomes / unit, N_DRAWS, confidence=confidence
        )
        for theirs, ours in zip(before, after, strict=True)
    ]
    order = sorted(range(len(gains)), key=lambda n: (not _is_too_much(gains[n]), gains[n].value))
    theirs, ours = before[order[0]], after[order[0]]
    return replace(
        check,
        n_judged=len(ours.outcomes),
        n_taps=len(after),
        tap=ours.tap,
        fp32_accuracy=theirs.score.value,
        accuracy=ours.score.value,
        gain=gains[order[0]] if (ours.outcomes != theirs.outcomes).any() else None,
    )


def _is_too_much(gain: Interval) -> bool:
    return gain.value < -MAX_LOSS and gain.high < 0


def _n_in_scales(dataset: Dataset, spec: FeatureSpec, keys: set[str]) -> int:
    """Return how many of the items with `keys` set the scales of int8."""
    if spec.precision != "int8":
        return 0
    return sum(item.key in keys for item in calibration_items(dataset)[0])


def _same_rows(ours: Features, theirs: Features) -> tuple[Array, Array]:
    """Return the rows of the items that both have; a value may be beyond one of them."""
    both = np.intersect1d(ours.keys.astype(str), theirs.keys.astype(str))
    mine, yours = (np.flatnonzero(np.isin(each.keys.astype(str), both)) for each in (ours, theirs))
    return mine, yours


def _compared(ours: Features, theirs: Features, mine: Array, yours: Array) -> Parity:
    """Compare all taps, few rows at a time: whole maps are large."""
    found = [
        compare({tap: own}, {tap: other})
        for tap in ours.taps
        for n in range(0, len(mine), 16)
        for own, other in zip(
            _alike(ours, tap, mine[n : n + 16]), _alike(theirs, tap, yours[n : n + 16]), strict=True
        )
    ]
    return min(found, key=lambda each: each.cosine)


def _alike(features: Features, tap: str, rows: Array) -> list[Array]:
    """Return rows as one array, or each as its own where they differ in length."""
    if features.is_ragged(tap):
        return [row[None] for row in features.rows(tap, rows)]
    return [features.X(tap, rows)]


def _why_no_accuracy(features: Features, rows: Array, taps: Sequence[str], kind: str) -> str:
    """Return why leave-one-out accuracy can't be judged; empty if it can."""
    labels, known = features.labels[rows], set(features.labels[rows])
    groups = features.group_numbers(rows)
    if not len(labels):
        return "items have no labels"
    if len(known) < 2 or (kind == "classes" and len(known) > len(labels) / 2):
        return f"{len(labels)} items have {len(known)} different labels"
    if kind == "labels" and not zeros_and_ones(labels, _names(labels)).std(axis=0).all():
        return "some labels are on no item, or on all"
    if groups is not None and len(np.unique(groups)) < 2:
        return "all items are of one group, or have equal bytes"
    return "" if taps else "all taps hold whole maps"


def _names(labels: Array) -> list[str]:
    return sorted(frozenset[str]().union(*map(names_in, labels)))


def _sets(features: Features, rows: Array, taps: Sequence[str], kind: str) -> list[tuple[str, ...]]:
    """Return what is judged: each tap alone, and those that are fused where few items choose."""
    prior = prior_taps(Task.of(features, ChooseOptions(kind=kind, taps=tuple(taps)), rows))
    return [*((tap,) for tap in taps), *([prior] if len(prior) > 1 else [])]


def _judged(features: Features, rows: Array, taps: tuple[str, ...], kind: str) -> Candidate:
    """Leave each row out, as the ranking does."""
    task = Task.of(features, ChooseOptions(kind=kind, taps=taps), rows)
    if len(taps) == 1:
        return judge_set(task, taps, Recipe())
    return judge_set(task, taps, Recipe().fused(), "fused")


def _lines(text: str) -> list[str]:
    """Return a sentence in lines of 100 columns at most, where no name is longer."""
    return textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)


def _too_much_lost(check: PrecisionCheck) -> UsageError:
    lost = -(check.gain.value if check.gain else 0.0)
    return UsageError(
        f"Precision {check.precision} loses too much.",
        f"{check}.",
        f"A precision that loses {MAX_LOSS:.0%} at most, or no more than chance; this loses "
        f"{lost:.1%}.",
        f"Leave out {option('precision')} for fp32",
    )
