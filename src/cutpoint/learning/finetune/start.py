"""Where training begins: a fitted recipe and head as one linear layer on pooled taps.

What is affine is folded, in float64, into one matrix on the taps as they are, each divided by one
number: scaled column by column, a column that is nearly constant in the training rows would have
weights that blow up new rows (docs/benchmarks/scaling.md). What depends on the row stays a fixed
step before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from cutpoint.base.types import Array, Float64
from cutpoint.learning.heads import (
    Classifier,
    Head,
    Labeller,
    LinearHead,
    LogisticHead,
    RidgeLabeller,
    RidgeRegressor,
)
from cutpoint.learning.recipe import Chain, FittedRecipe, chain_of, parse_recipe
from cutpoint.learning.shared.steps import Affine, fold
from cutpoint.learning.transforms import Fuse

BESIDE: dict[str, type[Head]] = {
    "classes": LogisticHead,
    "labels": RidgeLabeller,
    "values": RidgeRegressor,
}
"""What is fitted where the head is no linear layer."""


@dataclass(frozen=True)
class TapScales:
    """Taps side by side, each times one number.

    Attributes
    ----------
    factors : tuple of (tap, float)
    """

    factors: tuple[tuple[str, float], ...]

    def run(self, features: Mapping[str, Any], ops: Any) -> Any:
        """Return (n_items, n_features) from features by tap name."""
        parts = [ops.scale(features[tap], factor) for tap, factor in self.factors]
        return ops.concat(parts, 1) if len(parts) > 1 else parts[0]


@dataclass(frozen=True)
class Start:
    """A linear layer on what `chain` makes of pooled taps.

    Attributes
    ----------
    recipe : FittedRecipe
        Gives what `chain` gives, in a predictor.
    W, b : float64 arrays of shape (n_features, n_outputs) and (n_outputs,)
        Calibrated: their softmax, or sigmoid, are the head's own probabilities.
    """

    recipe: FittedRecipe
    chain: TapScales | Chain
    W: Float64
    b: Float64

    @property
    def taps(self) -> tuple[str, ...]:
        return self.recipe.taps

    def scores(self, features: Mapping[str, Array]) -> Float64:
        """Return (n_items, n_outputs) of features by tap name."""
        return np.asarray(self.recipe.transform(features) @ self.W + self.b, np.float64)


def is_linear(head: Head) -> bool:
    """Say whether a head is a linear layer itself."""
    return isinstance(head, LinearHead)


def start_of(recipe: FittedRecipe, head: Head, features: Mapping[str, Array]) -> Start:
    """Return where training starts from a fitted recipe and a linear head.

    Parameters
    ----------
    features : mapping of tap → array of shape (n_items, n_features)
        Those of training rows, to scale taps by.
    """
    check_is_fitted(head)
    last, chain = _calibrated(head), chain_of(recipe)
    steps = fold((*chain.steps, last))
    whole = steps[0]
    if len(steps) == 1 and isinstance(whole, Affine) and not any(chain.before):
        return _scaled(recipe, whole, features)
    return Start(recipe, chain, np.asarray(last.W), last.b)


def _calibrated(head: Head) -> Affine:
    """Return a linear head and what makes probabilities of it, up to softmax or sigmoid."""
    W, b = head.affine()
    own = Affine(np.asarray(W, np.float64), b)
    if isinstance(head, Classifier | Labeller):
        closing = head.closing_steps()[0]
        assert isinstance(closing, Affine)
        own = own.then(closing)
    return Affine(np.asarray(own.W), own.b)


def _scaled(recipe: FittedRecipe, layer: Affine, features: Mapping[str, Array]) -> Start:
    scales = [_scale_of(features[tap]) for tap in recipe.taps]
    widths = tuple(features[tap].shape[1] for tap in recipe.taps)
    made = Fuse(blocks=widths)
    made.scale_ = np.array(scales)
    made.n_features_in_ = sum(widths)
    several = len(recipe.taps) > 1
    spelled = parse_recipe("concat | fuse" if several else "fuse")
    plain = FittedRecipe(
        spelled, recipe.taps, ((),) * len(recipe.taps), (made,), recipe.learned_from
    )
    dense = layer.W.toarray() if hasattr(layer.W, "toarray") else np.asarray(layer.W)
    W = dense / np.repeat(scales, widths)[:, None]
    return Start(plain, TapScales(tuple(zip(recipe.taps, scales, strict=True))), W, layer.b)


def _scale_of(rows: Array) -> float:
    """Return one over the root of the mean variance of the columns; 1 where nothing varies."""
    variance = float(np.var(rows, axis=0, dtype=np.float64).mean())
    return float(np.float32(variance**-0.5)) if variance > 0 else 1.0
