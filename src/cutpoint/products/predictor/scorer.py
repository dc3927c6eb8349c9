"""Score items with a predictor, whose engine is made ready once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.types import Array, Float64
from cutpoint.features.extraction import Described, describe
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.unit import calibration_batch, refuse_misfit
from cutpoint.features.store.half_precision import as_read
from cutpoint.items.reading import Item, read_items
from cutpoint.learning.heads import Classifier, Head, Labeller
from cutpoint.learning.recipe import FittedRecipe
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import QuantisedCut, check_engine, make_ready
from cutpoint.products.predictor.prediction import AnyPrediction, prediction_of

_CHUNK = 32  # items a worker takes at a time


@dataclass
class Scorer:
    """A predictor that is ready: `Predictor.ready` makes it; fields as there.

    The engine passes the parity gate on the first items that can be prepared, and stays.
    """

    backbone: Backbone
    recipe: FittedRecipe
    head: Head
    storage: str
    precision: str
    network: bytes = field(repr=False)
    engine: str = "auto"
    n_workers: int | None = None
    revision: int = 1
    margin: float | None = None
    _ready: Engine | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_engine(self.engine)
        self._executor = LocalExecutor(self.n_workers)

    def predict(self, data: Any, reporter: Reporter | None = None) -> list[AnyPrediction]:
        """Return one prediction per item, as `Predictor.predict`."""
        tell = reporter.say if reporter else lambda line: None
        items = read_items(data, tell, self.backbone.kind)
        outputs, reasons = self.outputs(items, reporter)
        return [
            prediction_of(item.key, row, self.head, self.margin, reasons.get(place, ""))
            for place, (item, row) in enumerate(zip(items, outputs, strict=True))
        ]

    def outputs(
        self, items: Sequence[Item], reporter: Reporter | None = None
    ) -> tuple[Float64, dict[int, str]]:
        """Return what is said of each item, NaN of bad ones; and their reasons.

        That is calibrated probabilities, (n_items, n_classes) or (n_items, n_labels); or values,
        (n_items, n_values).
        """
        out = np.full((len(items), self.head.n_outputs), np.nan)
        reasons: dict[int, str] = {}
        if not items:
            return out, reasons
        refuse_misfit(items, self.backbone.spec.preprocess)
        reporter = reporter or Reporter(quiet=True)
        self.backbone.refuse_changed()  # the cut is from an earlier call
        ready = self._engine(items, reporter)
        starts = range(0, len(items), _CHUNK)
        with reporter.bar("Predict", len(items)) as advance:
            work = self._worker(items, ready, advance)
            for start, found in self._executor.map(work, starts):
                places = [start + place for place in found.places]
                if places:
                    out[places] = self._scored(found.arrays)
                reasons |= {start + place: reason for place, reason in found.bad}
        if len(reasons) == len(items):  # no item was there to compare the engine on
            self._ready = None
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

    def _engine(self, items: Sequence[Item], reporter: Reporter) -> Engine:
        if self._ready is None:
            preprocess = self.backbone.spec.preprocess
            self._ready = make_ready(
                self._cut,
                self.engine,
                self._executor.n_workers,
                self.precision,
                FeatureSpec(self.backbone.spec, self._taps, self.precision).fingerprint(),
                lambda: calibration_batch(items, preprocess, self._cut)[0],
                reporter.say,
                lambda identity: identity == "native" or None,  # nothing to compare it with
            ).engine
        return self._ready

    @property
    def _taps(self) -> tuple[TapSpec, ...]:
        return tuple(TapSpec.from_name(tap, self.revision) for tap in self.recipe.taps)

    @cached_property
    def _cut(self) -> Cut:
        cut = self.backbone.cut_at(self._taps)
        return QuantisedCut(cut, self.network) if self.network else cut

    def _scored(self, features: Mapping[str, Array]) -> Float64:
        read = {tap: as_read(rows) for tap, rows in features.items()}
        return said_by(self.head, self.recipe.transform(read))


def said_by(head: Head, X: Array) -> Float64:
    """Return what a head says of rows: probabilities of classes or labels, or values."""
    is_sure = isinstance(head, Classifier | Labeller)
    return head.predict_proba(X) if is_sure else head.outputs(X)
