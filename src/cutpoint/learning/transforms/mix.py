"""Layers side by side made one: a weighted sum whose weights are learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import eye_array, kron

from cutpoint.base.errors import ShapeError
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Float64
from cutpoint.learning.shared.limits import COUNT, SEED, Limit
from cutpoint.learning.shared.steps import Affine, LayerNorm, Steps
from cutpoint.learning.transforms.base import LabelledTransform, Mixed, check_blocks
from cutpoint.learning.transforms.training import train_layer_weights

LAYER_NORM_EPS = 1e-5  # PyTorch's default, which SUPERB's own code uses


class SoftmaxSum(Mixed, LabelledTransform):
    """``Σ_l softmax(w)_l h_l``: one weight per tap, learned together with a linear head.

    Parameters
    ----------
    norm : bool, default False
        Whether each tap's row is brought to mean 0 and deviation 1 first, as layer norm does: the
        weights then compare, where else a tap of large values counts more than its weight says.
    n_steps : int, default 300
        Steps of Adam on 256 rows each.
    random_state : int, default 0
    blocks : tuple of int, optional
        Widths of the taps side by side, all equal; one tap by default.

    Attributes
    ----------
    weights_ : float64 array of shape (n_taps,)
        One per tap, above 0, adding up to 1; all equal before training.
    loss_ : float
        Cross-entropy at the last step, nats.

    Notes
    -----
    The head is dropped. Trains in PyTorch, transforms in NumPy: only `fit` needs the extra.

    References
    ----------
    Yang et al., "SUPERB: Speech processing Universal PERformance Benchmark", 2021; s3prl's
    ``Featurizer``.
    """

    kind: ClassVar[str] = "softmax"
    limits: ClassVar[Mapping[str, Limit]] = {"n_steps": COUNT, "random_state": SEED}

    def __init__(
        self,
        norm: bool = False,
        n_steps: int = 300,
        random_state: int = 0,
        blocks: tuple[int, ...] | None = None,
    ) -> None:
        self.norm = norm
        self.n_steps = n_steps
        self.random_state = random_state
        self.blocks = blocks

    def fit(self, X: Any, y: Any) -> Self:
        """Train weights and head; the weights are kept."""
        X, truth, _ = self._labelled_rows(X, y)
        self.n_taps_ = len(_equal_blocks(self.blocks, X.shape[1]))
        layers = self._layers(X)
        # One number for all taps, so that the weights are those of the taps as they are.
        layers /= np.sqrt(np.square(layers).mean()) or 1.0
        self.weights_: Float64
        self.weights_, self.loss_ = train_layer_weights(
            layers.astype(np.float32), truth, self.n_steps, self.random_state
        )
        return self

    def transform(self, X: Any) -> Array:
        """Return the weighted sum of the taps, (n_items, n_features / n_taps)."""
        X = self._rows_to_transform(X)
        return np.asarray(np.einsum("ntc,t->nc", self._layers(X), self.weights_), dtype=X.dtype)

    def affine(self) -> tuple[Any, Float64]:
        return super().affine() if self.norm else self._sum()

    def steps(self) -> Steps:
        norm = LayerNorm((self._n_out(),) * self.n_taps_, LAYER_NORM_EPS)
        return (norm, Affine(*self._sum())) if self.norm else super().steps()

    def _sum(self) -> tuple[Any, Float64]:
        """Return the weighted sum of taps side by side as an affine map."""
        width = self._n_out()
        return kron(self.weights_[:, None], eye_array(width), "csr"), np.zeros(width)

    def _layers(self, X: Array) -> Float64:
        """Return the taps apart, (n_items, n_taps, width), normalised if asked for."""
        layers = X.astype(np.float64).reshape(len(X), self.n_taps_, -1)
        if not self.norm:
            return layers
        centred = layers - layers.mean(axis=2, keepdims=True)
        variance = np.square(centred).mean(axis=2, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + LAYER_NORM_EPS))

    def _n_out(self) -> int:
        return int(self.n_features_in_ // self.n_taps_)


def _equal_blocks(blocks: tuple[int, ...] | None, n_features: int) -> tuple[int, ...]:
    """Return the widths of the taps, or raise `ShapeError` if they differ."""
    widths = check_blocks(blocks, n_features)
    if len(set(widths)) > 1:
        narrowest = min(widths)
        raise ShapeError(
            f"Taps of widths {', '.join(map(str, widths))} have no weighted sum (softmax).",
            "It adds their columns one to one.",
            "Taps of one width, or a projection of each to one width before: gaussian, sparse, "
            "orthogonal or projection.",
            f"Type, for example:  {option('recipe', f'gap | orthogonal({narrowest}) | softmax')}",
        )
    return widths
