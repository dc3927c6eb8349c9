"""Choose an engine and let it through the gate."""

from __future__ import annotations

import importlib.util
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from cutpoint.engines.native import NativeEngine
from cutpoint.engines.openvino import OpenVINOEngine
from cutpoint.engines.parity import Parity, compare
from cutpoint.errors import MissingExtra, UsageError
from cutpoint.types import Batch, Cut, Engine, Features

ENGINES: dict[str, Callable[[Cut, int], Engine]] = {
    "native": NativeEngine,
    "openvino": OpenVINOEngine,
}


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

    "auto" is OpenVINO where it is installed and the cut can be converted, else native.
    """
    if name == "native" or (name == "auto" and "openvino" not in cut.converts_to):
        return "native", f"Running natively: {cut.why_native}" if cut.why_native else ""
    if name == "auto":
        if importlib.util.find_spec("openvino") is not None:
            return "openvino", ""
        return "native", 'OpenVINO is absent (pip install "cutpoint[openvino]"): running natively'
    if name not in ENGINES:
        raise UsageError(
            f'Engine "{name}" was asked for.',
            "There is no engine of that name.",
            f"Engines: auto, {', '.join(ENGINES)}.",
            "Type, for example:  --engine auto",
        )
    if name != "native" and importlib.util.find_spec(name) is None:
        raise MissingExtra(f'The engine "{name}"', name)
    if name != "native" and name not in cut.converts_to:
        raise UsageError(
            f'Engine "{name}" was asked for.',
            f"This cut can't be converted for it: {cut.why_native}.",
            "The engine native, which runs every cut.",
            "Type:  --engine native",
        )
    return name, ""


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


def checked_engine(cut: Cut, name: str, n_threads: int, calibration: Batch) -> Checked:
    """Return engine `name` if it agrees with the framework on `calibration`, else native.

    A refusal is told in `Checked.refused`, with the figure.
    """
    native = NativeEngine(cut, n_threads)
    reference, native_s = _timed(native, calibration)
    by_itself = Checked(native, Parity(1.0, 0.0), native_s, reference)
    if name == "native":
        return by_itself
    try:
        engine = ENGINES[name](cut, n_threads)
        features, seconds = _timed(engine, calibration)
    except MissingExtra:
        raise
    except Exception as error:  # whatever a converter meets in a network it does not know
        why = (
            f"engine {name} can't run this cut ({type(error).__name__}: {error}); running natively"
        )
        return replace(by_itself, refused=why)
    parity = compare(features, reference)
    if parity.passes:
        return Checked(engine, parity, seconds, features)
    why = f"engine {name} refused by the parity gate ({parity}); running natively"
    return replace(by_itself, refused=why)


def _timed(engine: Engine, batch: Batch) -> tuple[Features, float]:
    run = engine.session()
    run(batch)  # the first pass compiles and allocates
    start = time.perf_counter()
    features = run(batch)
    return features, time.perf_counter() - start
