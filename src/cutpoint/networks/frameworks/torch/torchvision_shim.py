"""Import torchvision-based packages beside a CPU-only torch.

torchvision's wheel is built against CUDA libraries. Beside a CPU-only torch its compiled operators
don't load, and `import torchvision` fails on the missing ``torchvision::nms``, although its models
and transforms need none of them. Declaring the two operators is enough; calling one still fails.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []  # must stay referenced for the operators to stay


def import_with_shim(name: str) -> ModuleType:
    """Import package `name`, declaring torchvision's operators only if their absence stops it."""
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for half_imported in [m for m in sys.modules if m.split(".")[0] in ("torchvision", name)]:
        del sys.modules[half_imported]
    _declare_operators()
    return importlib.import_module(name)


def _declare_operators() -> None:
    make: Any = torch.library.Library  # torch publishes no types for it
    library = make("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(operator)
    _declared.append(library)
