"""Choose an engine."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from cutpoint.base.arguments import check_choice
from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.errors import MissingExtra, UsageError
from cutpoint.base.tongue import option
from cutpoint.networks.engines.native import NativeEngine, no_precision
from cutpoint.networks.engines.onnxruntime import OnnxRuntimeEngine
from cutpoint.networks.engines.openvino import OpenVINOEngine
from cutpoint.networks.engines.torch import TorchEngine

ENGINES: dict[str, Callable[..., Engine]] = {
    "openvino": OpenVINOEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "torch": TorchEngine,
    "native": NativeEngine,
}
"""Name → what makes it of a cut, a count of threads and a precision; the fastest first."""

_EXTRAS = {"openvino": "openvino", "onnxruntime": "onnx", "torch": "torch"}


def preferred_engine(name: str, cut: Cut) -> tuple[str, str]:
    """Return the engine meant by `name`, and what to tell the user about the choice.

    "auto" is the first of `ENGINES` that is installed and that the cut can be converted for.
    """
    if name == "auto":
        able = [each for each in ENGINES if each in cut.converts_to]
        installed = [each for each in able if importlib.util.find_spec(each) is not None]
        return (installed or ["native"])[0], _why_not_faster(cut, able, installed)
    check_engine(name)
    if name == "native":
        return name, f"Running natively: {cut.why_native}" if cut.why_native else ""
    if name not in cut.converts_to:
        raise UsageError(
            f'This cut can\'t be converted for the engine "{name}"{_because(cut)}.',
            f"Engines for this cut: {', '.join(each for each in (*cut.converts_to, 'native'))}.",
            "One of these, or auto, which takes the fastest.",
            f"Type, for example:  {option('engine', 'auto')}",
        )
    return name, ""


def check_engine(name: str) -> None:
    """Raise an error unless there is an engine of that name, or "auto", and it is installed."""
    check_choice("engine", name, ("auto", *ENGINES), "auto")
    if name in _EXTRAS and importlib.util.find_spec(name) is None:
        raise MissingExtra(f'The engine "{name}"', _EXTRAS[name])


def refuse_precision(name: str, precision: str) -> None:
    """Raise `UsageError` if engine `name` is known to compute in fp32 alone; "auto" is not."""
    if precision != "fp32" and name in ENGINES and name != OpenVINOEngine.name:
        raise no_precision(precision, name)


def _because(cut: Cut) -> str:
    return f": {cut.why_native}" if cut.why_native else ""


def _why_not_faster(cut: Cut, able: list[str], installed: list[str]) -> str:
    """Return what to tell of a choice by "auto" that is not the best there is."""
    if not able:
        return f"Running natively: {cut.why_native}" if cut.why_native else ""
    if "openvino" in installed or "openvino" not in able:
        return ""
    by = f"running by {installed[0]}" if installed else "running natively"
    return f'OpenVINO is absent (pip install "cutpoint-ml[openvino]"): {by}'


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
