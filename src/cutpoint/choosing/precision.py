"""What a precision below fp32 costs, on training rows, before all items are computed in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cutpoint.backbone import Backbone
from cutpoint.choosing.candidate import Candidate
from cutpoint.choosing.sets import judge_set
from cutpoint.choosing.task import ChooseOptions, Task
from cutpoint.data import Dataset
from cutpoint.engines import Parity, compare
from cutpoint.errors import UsageError
from cutpoint.extraction import Extraction, ExtractOptions, extract_features
from cutpoint.extraction.quantising import quantised_spec, shuffled_training_items
from cutpoint.metrics import Interval, paired_bootstrap
from cutpoint.progress import Reporter
from cutpoint.recipe import Recipe
from cutpoint.spec import FeatureSpec, TapSpec
from cutpoint.store import Features, FeatureStore
from cutpoint.types import Array

N_CHECKED = 256  # training items that are computed in both
MAX_LOSS = 0.02
"""Accuracy that may be lost. More is refused if it is more than chance, too: if the 95 % interval
of the paired difference (bootstrap) lies below zero."""


@dataclass(frozen=True)
class PrecisionCheck:
    """A precision against fp32 on the same training rows.

    Attributes
    ----------
    precision : str
    n_items : int
    cosine : float
        Smallest of two rows, over all taps and rows.
    tap : str
        The deepest tap that is a vector, averaged if one is; empty if no accuracy was judged.
    fp32_accuracy, accuracy : float or None
        Of rows left out one by one, 0–1; None if no accuracy was judged.
    gain : Interval or None
        Their difference, paired bootstrap, 95 %.
    why_no_accuracy : str
    """

    precision: str
    n_items: int
    cosine: float
    tap: str = ""
    fp32_accuracy: float | None = None
    accuracy: float | None = None
    gain: Interval | None = None
    why_no_accuracy: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether accuracy falls by more than `MAX_LOSS`, and by more than chance."""
        return self.gain is not None and self.gain.value < -MAX_LOSS and self.gain.high < 0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "text": str(self)}

    def __str__(self) -> str:
        start = f"Precision {self.precision} against fp32 on {self.n_items} training items: "
        cosine = f"cosine {self.cosine:.4f} at worst; "
        if self.gain is None:
            return f"{start}{cosine}no accuracy, as {self.why_no_accuracy}"
        gain = f"{self.gain.value:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}]"
        both = f"{self.fp32_accuracy:.3f} → {self.accuracy:.3f}, {gain}"
        return f"{start}{cosine}leave-one-out accuracy {both} ({self.tap})"


def extract_checked(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    options: ExtractOptions,
    reporter: Reporter,
) -> Extraction:
    """Extract; a precision below fp32 is first compared with it, told, and kept in the view.

    Raises
    ------
    UsageError
        If the precision costs too much accuracy: `PrecisionCheck.is_refused`.
    """
    if spec.precision == "fp32":
        return extract_features(dataset, backbone, spec, store, options, reporter)
    if spec.precision == "int8":
        spec = quantised_spec(dataset, backbone, spec, store, reporter)
    check = check_precision(dataset, backbone, spec, store, options, reporter)
    facts = None
    if check is None:
        reporter.say(f"Precision {spec.precision} is not compared with fp32: no training items")
    else:
        reporter.say(str(check))
        facts = {"precision_check": check.to_json()}
        if check.is_refused:
            raise _too_much_lost(check)
    return extract_features(dataset, backbone, spec, store, options, reporter, facts)


def check_precision(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    store: FeatureStore,
    options: ExtractOptions,
    reporter: Reporter,
) -> PrecisionCheck | None:
    """Compare `spec` with the same in fp32 on some training items; None if there are none.

    The rows of both stay in the store, so a second run computes nothing. The items are the last
    in an order drawn by their keys; those that set the scales of int8 are the first, so that of
    384 items or more none is both.
    """
    items = shuffled_training_items(dataset)[-N_CHECKED:]
    if not items:
        return None
    sample = dataset.with_items(tuple(sorted(items, key=lambda item: item.key)))
    run = replace(options, max_bad=1.0, is_sample=True)  # all items are counted where all are run
    full = replace(spec, precision="fp32", calibration="")
    reporter.say(f"Compare precision {spec.precision} with fp32 on {len(items)} training items")
    ours, theirs = (
        extract_features(sample, backbone, each, store, run, reporter).features
        for each in (spec, full)
    )
    rows = _same_rows(ours, theirs)
    if not len(rows[0]):
        return None
    found = PrecisionCheck(spec.precision, len(rows[0]), _compared(ours, theirs, *rows).cosine)
    tap = _last_vector(ours, rows[0])
    why = _why_no_accuracy(ours, rows[0], tap)
    if why:
        return replace(found, why_no_accuracy=why)
    after, before = _judged(ours, rows[0], tap), _judged(theirs, rows[1], tap)
    return replace(
        found,
        tap=tap,
        fp32_accuracy=before.score.value,
        accuracy=after.score.value,
        gain=paired_bootstrap(after.outcomes, before.outcomes),
    )


def _same_rows(ours: Features, theirs: Features) -> tuple[Array, Array]:
    """Return the rows of the items that both have; a value may be beyond one of them."""
    both = np.intersect1d(ours.keys.astype(str), theirs.keys.astype(str))
    mine, yours = (np.flatnonzero(np.isin(each.keys.astype(str), both)) for each in (ours, theirs))
    return mine, yours


def _compared(ours: Features, theirs: Features, mine: Array, yours: Array) -> Parity:
    """Compare all taps, few rows at a time: whole maps are large."""
    found = [
        compare({tap: ours.X(tap, mine[n : n + 16])}, {tap: theirs.X(tap, yours[n : n + 16])})
        for tap in ours.taps
        for n in range(0, len(mine), 16)
    ]
    return min(found, key=lambda each: each.cosine)


def _last_vector(features: Features, rows: Array) -> str:
    """Return the deepest tap that gives vectors, averaged if one is; empty if all are maps."""
    taps = [tap for tap in features.taps if features.X(tap, rows[:1]).ndim == 2]
    deepest = TapSpec.from_name(taps[-1]).layer if taps else ""
    last = [tap for tap in taps if TapSpec.from_name(tap).layer == deepest]
    return next((tap for tap in last if tap.endswith("/gap")), last[-1] if last else "")


def _why_no_accuracy(features: Features, rows: Array, tap: str) -> str:
    """Return why leave-one-out accuracy can't be judged; empty if it can."""
    labels = features.labels[rows]
    known = {label for label in labels if label is not None}
    if any(label is None for label in labels):
        return "items have no labels"
    if not 2 <= len(known) <= len(labels) / 2:
        return f"{len(labels)} items have {len(known)} different labels"
    return "" if tap else "all taps hold whole maps"


def _judged(features: Features, rows: Array, tap: str) -> Candidate:
    """Leave each row out, as the ranking does."""
    task = Task.of(features, ChooseOptions(taps=(tap,)), rows)
    return judge_set(task, (tap,), Recipe())


def _too_much_lost(check: PrecisionCheck) -> UsageError:
    lost = -(check.gain.value if check.gain else 0.0)
    return UsageError(
        f"Features in precision {check.precision} were asked for.",
        f"{check}.",
        f"A precision that loses {MAX_LOSS:.0%} at most, or no more than chance; this loses "
        f"{lost:.1%}.",
        "Leave --precision away for fp32",
    )
