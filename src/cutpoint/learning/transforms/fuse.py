"""Taps side by side, each weighed as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import layer_scale
from cutpoint.learning.shared.limits import WEIGHTS, Limit
from cutpoint.learning.shared.steps import scaling
from cutpoint.learning.transforms.base import Transform, check_blocks


class Fuse(OneToOneFeatureMixin, Transform):  # type: ignore[misc]  # scikit-learn is untyped
    """Blocks of columns scaled so that a linear head sees the sum of their normalised Grams.

    A block is divided by the root mean squared length of its centred training rows, so that each
    tap weighs the same whatever its width and scale, and multiplied by the root of its weight. The
    products of the fused rows are then ``Σ w_l K_l``, where ``K_l`` is the block's Gram matrix
    with mean diagonal 1.

    Parameters
    ----------
    blocks : tuple of int, optional
        Widths of the blocks, one per tap. All columns are one block by default.
    weights : float or tuple of float, optional
        One a block, ≥ 0, one of them above 0; all 1 by default.

    Attributes
    ----------
    scale_ : float64 array of shape (n_blocks,)
        What each block is multiplied by; 0 where it is constant.
    """

    kind: ClassVar[str] = "fuse"
    limits: ClassVar[Mapping[str, Limit]] = {"weights": WEIGHTS.or_none}

    def __init__(
        self,
        blocks: tuple[int, ...] | None = None,
        weights: float | tuple[float, ...] | None = None,
    ) -> None:
        self.blocks = blocks
        self.weights = weights

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn one number a block: the mean squared length of its centred rows."""
        X = self._rows_to_fit(X)
        widths = check_blocks(self.blocks, X.shape[1])
        weights = _checked(self.weights, len(widths))
        parts = np.split(X, np.cumsum(widths)[:-1], axis=1)
        self.scale_: Float64 = np.array(list(map(layer_scale, parts, weights)))
        return self

    def transform(self, X: Any) -> Array:
        """Return the blocks, scaled."""
        rows = self._rows_to_transform(X)
        widths = check_blocks(self.blocks, rows.shape[1])
        return np.asarray(rows * np.repeat(self.scale_, widths), dtype=rows.dtype)

    def affine(self) -> tuple[Any, Float64]:
        widths = check_blocks(self.blocks, self.n_features_in_)
        return scaling(np.repeat(self.scale_, widths)), np.zeros(self.n_features_in_)


def _checked(weights: float | tuple[float, ...] | None, n_blocks: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * n_blocks
    found = tuple(weights) if isinstance(weights, tuple | list) else (weights,)
    if len(found) != n_blocks:
        raise UsageError(
            f"fuse has {len(found)} weights for {n_blocks} taps.",
            f"weights={':'.join(f'{each:g}' for each in found)}; taps that were mixed before are "
            "one.",
            "One weight per tap, or none: all 1.",
            f"Type, for example:  fuse(weights={':'.join(['1'] * n_blocks)})",
        )
    return found
