"""Let an engine through the gate: one that was kept, or a new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.errors import MissingExtra, UsageError
from cutpoint.base.stopwatch import lap
from cutpoint.base.tongue import option
from cutpoint.base.types import Batch, Features
from cutpoint.networks.engines.kept import KeptModel
from cutpoint.networks.engines.native import NativeEngine
from cutpoint.networks.engines.openvino import OpenVINOEngine
from cutpoint.networks.engines.parity import Parity, compare
from cutpoint.networks.engines.quantised import QuantisedCut
from cutpoint.networks.engines.select import ENGINES
from cutpoint.networks.runtimes.threads import one_thread


@dataclass(frozen=True)
class Checked:
    """An engine that may be used.

    Attributes
    ----------
    engine : Engine
    parity : Parity
    seconds : float
        Time of the calibration batch, one thread, seconds.
    features : dict
        How close both were on the calibration batch.
    refused : str
        Why another engine was not used instead; empty if none was refused.
    """

    engine: Engine
    parity: Parity
    seconds: float
    features: Features
    refused: str = ""


def known_engine(
    cut: Cut, name: str, n_threads: int, precision: str, kept: KeptModel
) -> Engine | None:
    """Return an engine that passed the gate before: the cut itself, or the very model kept.

    None if none was, so that one must be made and compared.
    """
    _refuse_unquantised(cut, precision)
    make = partial(ENGINES[name], cut, n_threads, precision)
    with one_thread():
        return _from_kept(make, kept) if name == OpenVINOEngine.name else make()


def checked_engine(
    cut: Cut,
    name: str,
    n_threads: int,
    calibration: Batch,
    precision: str = "fp32",
    kept: KeptModel | None = None,
) -> Checked:
    """Return engine `name` if it agrees with the framework on `calibration`, else native.

    A refusal stands in `Checked.refused`, with the figure.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the engine computes in; it is compared with the framework in float32 either way.
    kept : KeptModel, optional
        Where a compiled model may lie, and is kept if it passes.

    Raises
    ------
    UsageError
        If `precision` is not float32 and the engine can't do it: float32 would be other numbers.
    """
    if name == "native":
        return _native(cut, n_threads, calibration, precision)
    _refuse_unquantised(cut, precision)
    make = partial(ENGINES[name], cut, n_threads, precision)
    with one_thread():
        gate = _Gate(calibration, cut(calibration), precision, _other_length(cut, calibration))
        lap("gate")
        found = _kept_checked(make, kept, gate) if kept else None
        checked = found or _new_checked(make, kept, gate, name)
    if isinstance(checked, Checked):
        return checked
    if precision != "fp32":
        raise UsageError(
            f"Precision {precision} can't be used: the {checked}.",
            "Features in fp32 would be other numbers.",
            "Another precision, or other taps.",
            f"Leave out {option('precision')} where features are computed, for fp32",
        )
    return _native(cut, n_threads, calibration, precision, f"{checked}; running natively")


def _refuse_unquantised(cut: Cut, precision: str) -> None:
    """Raise `UsageError` if int8 is asked of a network that is in float32."""
    if precision == "int8" and not isinstance(cut, QuantisedCut):
        raise UsageError(
            "The network is not quantised, so it has no features in int8.",
            "It would compute in fp32.",
            "The quantised one, which features and predictors of int8 come with.",
            f"Leave out {option('precision')} where features are computed, for fp32",
        )


def _native(
    cut: Cut, n_threads: int, calibration: Batch, precision: str, refused: str = ""
) -> Checked:
    engine = NativeEngine(cut, n_threads, precision)
    features, seconds = _timed(engine, calibration)
    lap("gate")
    return Checked(engine, Parity(1.0, 0.0), seconds, features, refused)


@dataclass(frozen=True)
class _Gate:
    """What an engine is held against: the framework's own features of some items."""

    calibration: Batch
    reference: Features
    precision: str
    other: tuple[Batch, Features] | None = None

    def __call__(self, engine: Engine) -> Checked | str:
        """Return the engine if it is near enough, else why it is not."""
        features, seconds = _timed(engine, self.calibration)
        parity = compare(features, self.reference)
        if self.other is not None:
            batch, reference = self.other
            again = compare(engine.session()(batch), reference)
            cosine = min(parity.cosine, again.cosine)
            parity = Parity(cosine, max(parity.relative_error, again.relative_error))
        lap("gate")
        if parity.passes_in(self.precision, self.other is not None):
            return Checked(engine, parity, seconds, features)
        return f"engine {engine.name} refused by the parity gate ({parity})"


def _other_length(cut: Cut, batch: Batch) -> tuple[Batch, Features] | None:
    """Return half of each item and its features, where padded items may be of any length.

    A converter that took a size for a constant shows it at another.
    """
    free = {
        name: each.shape.index(None) + 1 for name, each in cut.inputs.items() if None in each.shape
    }
    has_masks = any(each.mask_of for each in cut.inputs.values())
    if not has_masks or len(free) < len(cut.inputs):
        return None
    halved = {
        name: np.take(each, np.arange(max(1, each.shape[free[name]] // 2)), free[name])
        for name, each in batch.items()
    }
    return halved, cut(halved)


def _kept_checked(make: Callable[..., Engine], kept: KeptModel, gate: _Gate) -> Checked | None:
    """Return the kept model if it is there and passes; else it is dropped."""
    engine = _from_kept(make, kept)
    checked = gate(engine) if engine is not None else None
    if isinstance(checked, str):
        kept.drop("no longer agrees with the framework")
        return None
    return checked


def _new_checked(
    make: Callable[..., Engine], kept: KeptModel | None, gate: _Gate, name: str
) -> Checked | str:
    """Return a new engine if it passes, and keep what it compiled; else why not."""
    try:
        engine = make()
        lap("convert")
        checked = gate(engine)
    except (MissingExtra, UsageError):
        raise
    except Exception as error:  # whatever a converter meets in a network it does not know
        return f"engine {name} can't run this cut ({type(error).__name__}: {error})"
    if isinstance(checked, Checked) and kept is not None and isinstance(engine, OpenVINOEngine):
        kept.write(engine.export())
    return checked


def _from_kept(make: Callable[..., Engine], kept: KeptModel) -> Engine | None:
    """Return the engine of a kept model; None if there is none that loads."""
    export = kept.read()
    if export is None:
        return None
    try:
        engine = make(export=export)
    except (MissingExtra, UsageError):
        raise
    except Exception as error:  # whatever OpenVINO meets in what another build of it wrote
        kept.drop(f"can't be loaded ({error})")
        return None
    lap("load")
    return engine


def _timed(engine: Engine, batch: Batch) -> tuple[Features, float]:
    run = engine.session()
    run(batch)  # the first pass compiles and allocates
    start = time.perf_counter()
    features = run(batch)
    return features, time.perf_counter() - start
