"""Choose an engine and let it through the gate."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from cutpoint.engines.kept import KeptModel
from cutpoint.engines.native import NativeEngine
from cutpoint.engines.onnxruntime import OnnxRuntimeEngine
from cutpoint.engines.openvino import OpenVINOEngine
from cutpoint.engines.parity import Parity, compare
from cutpoint.errors import MissingExtra, UsageError
from cutpoint.stopwatch import lap
from cutpoint.types import Batch, Cut, Engine, Features

ENGINES: dict[str, Callable[..., Engine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "native": NativeEngine,
}
"""Name → what makes it of a cut, a count of threads and a precision; the fastest first."""

_EXTRAS = {"openvino": "openvino", "onnxruntime": "onnx"}


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
        Of the calibration batch.
    refused : str
        Why another engine was not used instead; empty if none was refused.
    """

    engine: Engine
    parity: Parity
    seconds: float
    features: Features
    refused: str = ""


def preferred_engine(name: str, cut: Cut) -> tuple[str, str]:
    """Return the engine meant by `name`, and what to tell the user about the choice.

    "auto" is the first of `ENGINES` that is installed and that the cut can be converted for.
    """
    if name == "auto":
        able = [each for each in ENGINES if each in cut.converts_to]
        installed = [each for each in able if importlib.util.find_spec(each) is not None]
        return (installed or ["native"])[0], _why_not_faster(cut, able, installed)
    if name not in ENGINES:
        raise UsageError(
            f'Engine "{name}" was asked for.',
            "There is no engine of that name.",
            f"Engines: auto, {', '.join(ENGINES)}.",
            "Type, for example:  --engine auto",
        )
    if name == "native":
        return name, f"Running natively: {cut.why_native}" if cut.why_native else ""
    if importlib.util.find_spec(name) is None:
        raise MissingExtra(f'The engine "{name}"', _EXTRAS[name])
    if name not in cut.converts_to:
        raise UsageError(
            f'Engine "{name}" was asked for.',
            f"This cut can't be converted for it{_because(cut)}.",
            f"Engines for this cut: {', '.join(each for each in (*cut.converts_to, 'native'))}.",
            "Type, for example:  --engine auto",
        )
    return name, ""


def _because(cut: Cut) -> str:
    return f": {cut.why_native}" if cut.why_native else ""


def _why_not_faster(cut: Cut, able: list[str], installed: list[str]) -> str:
    """Return what to tell of a choice by "auto" that is not the best there is."""
    if not able:
        return f"Running natively: {cut.why_native}" if cut.why_native else ""
    if "openvino" in installed or "openvino" not in able:
        return ""
    by = f"running by {installed[0]}" if installed else "running natively"
    return f'OpenVINO is absent (pip install "cutpoint[openvino]"): {by}'


def one_thread() -> Any:
    """Return a context in which frameworks compute in one thread.

    For the few small passes that set an engine up: several threads gain nothing there, and wait
    for each other in loops where the machine is busy, which made them take ten times as long.
    """
    return threadpool_limits(1)


def engine_identity(name: str) -> str:
    """Return what a passed gate holds for: the engine, its version and the processor."""
    if name == "native":
        return name
    return f"{name} {version(name)} on {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def known_engine(
    cut: Cut, name: str, n_threads: int, precision: str, kept: KeptModel
) -> Engine | None:
    """Return an engine that passed the gate before: the cut itself, or the very model kept.

    None if none was, so that one must be made and compared.
    """
    if name == "openvino":
        return _engine_of(kept, cut, n_threads, precision)
    return ENGINES[name](cut, n_threads, precision)


def checked_engine(
    cut: Cut,
    name: str,
    n_threads: int,
    calibration: Batch,
    precision: str = "fp32",
    kept: KeptModel | None = None,
) -> Checked:
    """Return engine `name` if it agrees with the framework on `calibration`, else native.

    A refusal is told in `Checked.refused`, with the figure.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16"}
        What the engine computes in; it is compared with the framework in float32 either way.
    kept : KeptModel, optional
        Where a compiled model may lie, and is kept if it passes.

    Raises
    ------
    UsageError
        If `precision` is not float32 and the engine can't do it: float32 would be other numbers.
    """
    if name == "native":
        engine = NativeEngine(cut, n_threads, precision)
        reference, seconds = _timed(engine, calibration)
        return Checked(engine, Parity(1.0, 0.0), seconds, reference)
    with one_thread():
        reference = cut(calibration)
        lap("gate")
        checked = _passed(cut, name, n_threads, calibration, precision, kept, reference)
    if isinstance(checked, Checked):
        return checked
    if precision != "fp32":
        raise UsageError(
            f"Features in precision {precision} were asked for.",
            f"The {checked}.",
            "Another precision, or other taps.",
            "Leave --precision away for fp32",
        )
    native = NativeEngine(cut, n_threads)
    reference, seconds = _timed(native, calibration)
    refused = f"{checked}; running natively"
    return Checked(native, Parity(1.0, 0.0), seconds, reference, refused)


def _passed(
    cut: Cut,
    name: str,
    n_threads: int,
    calibration: Batch,
    precision: str,
    kept: KeptModel | None,
    reference: Features,
) -> Checked | str:
    """Return the engine if it passes the gate, else why not; a kept model goes first."""
    old = _engine_of(kept, cut, n_threads, precision) if kept and name == "openvino" else None
    if old is not None and kept is not None:
        checked = _gated(old, calibration, reference, precision)
        if isinstance(checked, Checked):
            return checked
        kept.drop("no longer agrees with the framework")
    try:
        engine = ENGINES[name](cut, n_threads, precision)
        lap("convert")
        checked = _gated(engine, calibration, reference, precision)
    except (MissingExtra, UsageError):
        raise
    except Exception as error:  # whatever a converter meets in a network it does not know
        return f"engine {name} can't run this cut ({type(error).__name__}: {error})"
    if isinstance(checked, Checked) and kept is not None and isinstance(engine, OpenVINOEngine):
        kept.write(engine.export())
    return checked


def _engine_of(kept: KeptModel, cut: Cut, n_threads: int, precision: str) -> Engine | None:
    """Return the engine of a kept model, or None."""
    export = kept.read()
    if export is None:
        return None
    try:
        engine = OpenVINOEngine(cut, n_threads, precision, export)
        lap("load")
        return engine
    except (MissingExtra, UsageError):
        raise
    except Exception as error:  # whatever OpenVINO meets in what another build of it wrote
        kept.drop(f"can't be loaded ({error})")
        return None


def _gated(
    engine: Engine, calibration: Batch, reference: Features, precision: str
) -> Checked | str:
    features, seconds = _timed(engine, calibration)
    parity = compare(features, reference)
    lap("gate")
    if parity.passes_in(precision):
        return Checked(engine, parity, seconds, features)
    return f"engine {engine.name} refused by the parity gate ({parity})"


def _timed(engine: Engine, batch: Batch) -> tuple[Features, float]:
    run = engine.session()
    run(batch)  # the first pass compiles and allocates
    start = time.perf_counter()
    features = run(batch)
    return features, time.perf_counter() - start
