"""Cut a frozen network where its features serve you best."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cutpoint import testing
    from cutpoint.api import (
        choose,
        encode,
        evaluate,
        extract,
        finetune,
        fit,
        load,
        load_predictor,
        predict,
    )
    from cutpoint.base import errors
    from cutpoint.features.store import Features, FeatureStore
    from cutpoint.learning import gram, heads, metrics, transforms
    from cutpoint.learning import transferability as scores
    from cutpoint.learning.choosing import Ranking
    from cutpoint.learning.recipe import Recipe
    from cutpoint.networks import style
    from cutpoint.networks.backbone import Backbone
    from cutpoint.networks.layer_table import LayerTable
    from cutpoint.products.evaluation import Evaluation
    from cutpoint.products.predictor import Prediction, Predictor

__version__ = "0.1.0"
__all__ = [
    "Backbone",
    "Evaluation",
    "FeatureStore",
    "Features",
    "LayerTable",
    "Prediction",
    "Predictor",
    "Ranking",
    "Recipe",
    "choose",
    "encode",
    "errors",
    "evaluate",
    "extract",
    "finetune",
    "fit",
    "gram",
    "heads",
    "load",
    "load_predictor",
    "metrics",
    "predict",
    "scores",
    "style",
    "testing",
    "transforms",
]
_HOMES = {
    "Backbone": "networks.backbone",
    "Evaluation": "products.evaluation",
    "FeatureStore": "features.store",
    "Features": "features.store",
    "LayerTable": "networks.layer_table",
    "Prediction": "products.predictor",
    "Predictor": "products.predictor",
    "Ranking": "learning.choosing",
    "Recipe": "learning.recipe",
}
_MODULES = {
    "errors": "base.errors",
    "gram": "learning.gram",
    "heads": "learning.heads",
    "metrics": "learning.metrics",
    "scores": "learning.transferability",
    "style": "networks.style",
    "testing": "testing",
    "transforms": "learning.transforms",
}


def __getattr__(name: str) -> Any:
    # Each is imported when first used, so that `import cutpoint` is instant.
    if name in _MODULES:
        return importlib.import_module(f"cutpoint.{_MODULES[name]}")
    if name in __all__:
        return getattr(importlib.import_module(f"cutpoint.{_HOMES.get(name, 'api')}"), name)
    raise AttributeError(f"module 'cutpoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
