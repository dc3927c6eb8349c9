"""An engine ready to compute units of one spec into one store."""

from __future__ import annotations

import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.errors import CutpointError, StoreError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.stopwatch import Seconds, Stopwatch, lap
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Batch, blank_batch, n_items_of
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.interrupt import stopping
from cutpoint.features.extraction.plan import Plan, Unit, human_bytes, size_plan
from cutpoint.features.extraction.quantising import cut_of
from cutpoint.features.extraction.unit import UnitReceipt, calibration_batch, run_unit
from cutpoint.features.store import FeatureStore
from cutpoint.features.store.catalog import EngineRecord
from cutpoint.features.store.half_precision import as_stored
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import Checked, make_ready
from cutpoint.networks.pooling import free_rows, loses_sign
from cutpoint.networks.runtimes.threads import one_thread


@dataclass
class Job:
    """What computes units.

    Attributes
    ----------
    n_calibration : int
        Items that went through the network for the parity gate.
    free : mapping of tap → axis
        Along which rows of taps kept whole differ in length.
    check : callable
        Raises if what was computed must not be kept: cuts may share memory with a network that is
        trained meanwhile.
    laps : list of dict of stage → seconds
        Each worker's, once `run` has ended.
    units_s : float
        How long `run` took, seconds.
    """

    spec: FeatureSpec
    store: FeatureStore
    engine: Engine
    record: EngineRecord
    n_calibration: int
    executor: LocalExecutor
    check: Callable[[], None]
    free: Mapping[str, int]
    laps: list[Seconds] = field(default_factory=list)
    units_s: float = 0.0

    @classmethod
    def set_up(
        cls,
        backbone: Backbone,
        spec: FeatureSpec,
        store: FeatureStore,
        engine: str,
        executor: LocalExecutor,
        units: Sequence[Unit],
        reporter: Reporter,
    ) -> Job:
        """Choose the engine; pass it through the parity gate unless this store knows it.

        What the store knows is a figure; it holds for the model that was kept, and no other.
        """
        cut, free = cut_of(backbone, spec, store), _free_rows(backbone, spec)
        lap("cut")
        if _has_gpu():
            reporter.say("A GPU is here and is not used: features are computed on processors")
        spec_id, sample = spec.fingerprint(), _Sample(units, spec, cut)
        ready = make_ready(
            cut,
            engine,
            executor.n_workers,
            spec.precision,
            spec_id,
            lambda: sample.batch,
            reporter.say,
            partial(store.catalog.engine, spec_id),
        )
        if ready.remembered is not None:
            known, check = ready.remembered, backbone.refuse_changed
            return cls(spec, store, ready.engine, known, 0, executor, check, free)
        assert ready.checked is not None
        _say_what_gem_loses(backbone, spec, sample.batch, reporter)
        record = sample.record(ready.identity, ready.checked)
        if not ready.is_refused:
            store.add_engine(spec_id, record)
        n_seen, check = n_items_of(sample.batch), backbone.refuse_changed
        return cls(spec, store, ready.engine, record, n_seen, executor, check, free)

    def plan(self, n_items: int, units: tuple[Unit, ...]) -> Plan:
        item = blank_batch(self.spec.backbone.preprocess.inputs, 1)
        item_bytes = sum(each.nbytes for each in item.values())
        n_workers = self.executor.n_workers
        n_engines = 1 if self.engine.is_serial else n_workers
        batch_bytes = self.engine.batch_size * item_bytes
        plan = size_plan(n_items, units, self.record, n_workers, n_engines, batch_bytes)
        free = shutil.disk_usage(_existing(self.store.path)).free
        if plan.disk_bytes > free:
            raise StoreError(
                f'The disk of "{self.store.path}" is too small for the features.',
                f"They take {human_bytes(plan.disk_bytes)}; it has {human_bytes(free)} left.",
                "A disk with more space, or fewer taps and pools.",
                f"Put the store elsewhere with:  {option('store', 'FOLDER')}",
            )
        return plan

    def run(
        self, plan: Plan, on_receipt: Callable[[UnitReceipt], None], reporter: Reporter
    ) -> None:
        """Compute the units; commit each receipt as it comes.

        However a run ends, by Ctrl-C, by a unit that fails or by what `on_receipt` raises, the
        units under way are ended and committed first; a second Ctrl-C leaves at once.
        """
        start, spec_id = time.perf_counter(), self.spec.fingerprint()
        folder = self.store.shard_folder(spec_id)
        bar = reporter.bar(f"Extract ({self.engine.name})", plan.n_to_compute)
        with stopping(reporter) as stop, bar as advance:

            def make_worker() -> Callable[[Unit], UnitReceipt]:
                watch = Stopwatch().start()
                self.laps.append(watch.seconds)
                session = self.engine.session()
                watch.lap("engine")
                return lambda unit: run_unit(
                    unit,
                    self.spec,
                    folder,
                    self.engine.name,
                    session,
                    self.engine.batch_size,
                    advance,
                    self.check,
                    self.free,
                )

            with closing(self.executor.map(make_worker, plan.units, stop)) as receipts:
                for receipt in receipts:
                    self.store.commit(spec_id, receipt.shard, receipt.remarks)
                    try:
                        on_receipt(receipt)
                    except CutpointError as error:
                        stop.because(error)
        self.units_s = time.perf_counter() - start


def _has_gpu() -> bool:
    """Say whether PyTorch, where it is loaded, sees a GPU."""
    torch = sys.modules.get("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of drivers that are there in part
        return torch is not None and bool(torch.cuda.is_available())


def _row_bytes(features: Mapping[str, Array], storage: str) -> int:
    """Return the bytes of one item as it is stored."""
    return sum(as_stored(tap, rows[:1], storage).nbytes for tap, rows in features.items())


def _free_rows(backbone: Backbone, spec: FeatureSpec) -> dict[str, int]:
    """Return the axis along which rows differ in length, by tap; none where no item can."""
    if all(None not in each.shape for each in spec.backbone.preprocess.inputs.values()):
        return {}
    table = backbone.layers()
    return free_rows((table[tap.layer], tap.pool) for tap in spec.taps)


def _say_what_gem_loses(
    backbone: Backbone, spec: FeatureSpec, batch: Batch, reporter: Reporter
) -> None:
    """Say which taps pool by GeM what goes below zero, as read off a few items."""
    taps = [tap for tap in spec.taps if loses_sign(tap.pool)]
    if not taps:
        return
    whole = [TapSpec(layer, "none") for layer in dict.fromkeys(tap.layer for tap in taps)]
    with one_thread():
        activations = backbone.cut_at(whole)({name: each[:2] for name, each in batch.items()})
    for tap in taps:
        if (activations[f"{tap.layer}/none"] < 0).any():
            reporter.say(
                f"{tap.name}: values below zero are raised to 1e-6; s{tap.pool} keeps them"
            )


@dataclass(frozen=True)
class _Sample:
    """The first few items that can be prepared; what they show of all."""

    units: Sequence[Unit]
    spec: FeatureSpec
    cut: Cut

    @property
    def batch(self) -> Batch:
        return self._prepared[0]

    @cached_property
    def _prepared(self) -> tuple[Batch, float]:
        return calibration_batch(self.units[0].items, self.spec.backbone.preprocess, self.cut)

    def record(self, identity: str, checked: Checked) -> EngineRecord:
        return EngineRecord(
            engine=identity,
            cosine=checked.parity.cosine,
            relative_error=checked.parity.relative_error,
            engine_s=checked.seconds / n_items_of(self.batch),
            prepare_s=self._prepared[1],
            row_bytes=_row_bytes(checked.features, self.spec.storage),
        )


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())
