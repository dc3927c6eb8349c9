"""Cut a frozen network where its features serve you best."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cutpoint.api import (
        choose,
        evaluate,
        extract,
        fit,
        image_distance,
        load,
        load_predictor,
        predict,
    )

__version__ = "0.1.0"
__all__ = [
    "choose",
    "evaluate",
    "extract",
    "fit",
    "image_distance",
    "load",
    "load_predictor",
    "predict",
]


def __getattr__(name: str) -> Any:
    # The functions are imported when first used, so that `import cutpoint` is instant.
    if name in __all__:
        return getattr(importlib.import_module("cutpoint.api"), name)
    raise AttributeError(f"module 'cutpoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
