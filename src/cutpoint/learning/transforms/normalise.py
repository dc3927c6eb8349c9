"""Rows and columns brought to a common scale; every column survives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin

from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Float64
from cutpoint.learning.gram import Moments, Variances
from cutpoint.learning.shared.limits import POSITIVE, WEIGHT, Limit, check_parameters
from cutpoint.learning.shared.steps import SignedPowers, Steps, UnitLength, scaling
from cutpoint.learning.transforms.base import Transform, check_blocks, finite_chunks, starts_of

# A column this many times narrower than its mean is constant but for rounding in float64.
_CONSTANT = 100 * np.finfo(np.float64).eps


def l2_normalise(X: Array, blocks: tuple[int, ...] | None = None) -> Array:
    """Divide each row, or each block of its columns, by its Euclidean length.

    Parameters
    ----------
    X : array of shape (n_items, n_features)
    blocks : tuple of int, optional
        Widths of the blocks, side by side: one per tap. Whole rows by default.

    Returns
    -------
    rows : array of shape (n_items, n_features), of the type of `X`
        Zeros where a row or block is zero.
    """
    widths = check_blocks(blocks, X.shape[1])
    squares = np.square(X, dtype=np.float64)
    lengths = np.sqrt(np.add.reduceat(squares, starts_of(widths), axis=1))
    lengths[lengths == 0] = 1.0
    rows: Array = X / np.repeat(lengths, widths, axis=1)
    return rows.astype(X.dtype)


def signed_power(X: Array, alpha: float = 0.5) -> Array:
    """Return ``sign(x) |x|^alpha``; 0.5 is the signed square root.

    References
    ----------
    Perronnin et al., "Improving the Fisher Kernel for Large-Scale Image Classification", 2010.
    """
    return (np.sign(X) * np.abs(X) ** alpha).astype(X.dtype)


def constant_columns(moments: Variances) -> Array:
    """Return which columns do not vary, but for rounding."""
    deviation = np.sqrt(moments.variance())
    return np.asarray(deviation <= _CONSTANT * np.abs(moments.mean))


def floored_deviation(moments: Variances, floor: float = 0.0) -> Float64:
    """Return what `ZScore` divides by; see its `floor`."""
    deviation = np.where(constant_columns(moments), 0.0, np.sqrt(moments.variance()))
    usual = np.median(deviation[deviation > 0]) if deviation.any() else 0.0
    found = np.hypot(deviation, floor * usual)
    return np.asarray(np.where(found > 0, found, 1.0), np.float64)


class L2(OneToOneFeatureMixin, Transform):  # type: ignore[misc]  # scikit-learn is untyped
    """Rows of length 1; see `l2_normalise`.

    Parameters
    ----------
    blocks : tuple of int, optional
        Widths of the blocks that get length 1 each, one per tap. Whole rows by default.
    """

    kind: ClassVar[str] = "l2"

    def __init__(self, blocks: tuple[int, ...] | None = None) -> None:
        self.blocks = blocks

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the blocks against the columns; nothing is learned."""
        X = self._rows_to_fit(X)
        check_blocks(self.blocks, X.shape[1])
        return self

    def transform(self, X: Any) -> Array:
        """Return rows, or blocks of them, of length 1."""
        return l2_normalise(self._rows_to_transform(X), self.blocks)

    def steps(self) -> Steps:
        return (UnitLength(check_blocks(self.blocks, self.n_features_in_)),)


class TapL2(L2):
    """Each tap's columns brought to length 1, on their own: L2 that knows the taps' widths."""

    kind: ClassVar[str] = "tap_l2"


class ZScore(OneToOneFeatureMixin, Transform):  # type: ignore[misc]  # scikit-learn is untyped
    """Columns of mean 0 and deviation 1 on the training rows; a constant column becomes 0.

    Parameters
    ----------
    floor : float, default 0.0
        Share of the median deviation, of the columns that vary, that is added to each column's
        own, as a square: ``√(σ² + (floor·median σ)²)``. A channel that is zero in nearly all
        training rows has a tiny deviation, and a new row where it is not lies thousands of them
        away; 0.1 holds it back. 0 is the textbook's z-score.

    Attributes
    ----------
    mean_ : float64 array of shape (n_features,)
    scale_ : float64 array of shape (n_features,)
        What is divided by: the standard deviation (over n, not n − 1), floored; 1 where a column
        is constant and nothing is added.
    """

    kind: ClassVar[str] = "zscore"
    limits: ClassVar[Mapping[str, Limit]] = {"floor": WEIGHT}

    def __init__(self, floor: float = 0.0) -> None:
        self.floor = floor

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn mean and deviation."""
        return self._keep(Variances.of(self._rows_to_fit(X)))

    def fit_stream(self, chunks: Iterable[Array]) -> Self:
        """Learn from chunks of rows in one pass, none of them kept."""
        return self.fit_moments(Variances.of(finite_chunks(chunks, type(self).__name__)))

    def fit_moments(self, moments: Variances | Moments) -> Self:
        """Learn from what was gathered, and perhaps merged, elsewhere."""
        check_parameters(self)
        self.n_features_in_ = moments.n_features
        return self._keep(moments)

    def transform(self, X: Any) -> Array:
        """Return ``(X − mean) / scale``."""
        rows = self._rows_to_transform(X)
        return np.asarray((rows - self.mean_) / self.scale_, dtype=rows.dtype)

    def affine(self) -> tuple[Any, Float64]:
        return scaling(1 / self.scale_), -self.mean_ / self.scale_

    def _keep(self, moments: Variances) -> Self:
        self.mean_: Float64 = moments.mean.copy()
        self.scale_: Float64 = floored_deviation(moments, self.floor)
        return self


class Scale(ZScore):
    """Columns of mean 0, and one scale for all of a tap's, so that their mean variance is 1.

    What one column varies more than another stays; nearly constant columns are not blown up.

    Parameters
    ----------
    blocks : tuple of int, optional
        Widths of the blocks with a scale each, one per tap. All columns are one block by default.

    Attributes
    ----------
    mean_ : float64 array of shape (n_features,)
    scale_ : float64 array of shape (n_features,)
        The root of the mean variance of the column's block; 1 where all of it is constant.
    """

    kind: ClassVar[str] = "scale"
    limits: ClassVar[Mapping[str, Limit]] = {}

    def __init__(self, blocks: tuple[int, ...] | None = None) -> None:
        self.blocks = blocks

    def _keep(self, moments: Variances) -> Self:
        widths = check_blocks(self.blocks, moments.n_features)
        self.mean_ = moments.mean.copy()
        variances = np.where(constant_columns(moments), 0.0, moments.variance())
        each = np.sqrt(np.add.reduceat(variances, starts_of(widths)) / widths)
        self.scale_ = np.repeat(np.where(each > 0, each, 1.0), widths)
        return self


class SignedPower(OneToOneFeatureMixin, Transform):  # type: ignore[misc]  # untyped
    """``sign(x) |x|^alpha``: large values count less where alpha < 1.

    Parameters
    ----------
    alpha : float, default 0.5
        Exponent, > 0.
    """

    kind: ClassVar[str] = "power"
    limits: ClassVar[Mapping[str, Limit]] = {"alpha": POSITIVE}

    def __init__(self, alpha: float = 0.5) -> None:
        self.alpha = alpha

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check `alpha`; nothing is learned."""
        self._rows_to_fit(X)
        return self

    def steps(self) -> Steps:
        return (SignedPowers(self.alpha),)

    def transform(self, X: Any) -> Array:
        """Return the signed powers.

        Raises
        ------
        UsageError
            If one of them is too large for the type of `X`.
        """
        rows = self._rows_to_transform(X)
        with np.errstate(over="ignore"):
            powers = signed_power(rows, self.alpha)
        if not np.isfinite(powers).all():
            raise UsageError(
                f"Power {self.alpha} of the largest feature is no {rows.dtype} (stage "
                f"{self.kind}).",
                f"That feature is {np.abs(rows).max():.4g}.",
                "A smaller alpha; 0.5 is the signed square root, 1 changes nothing.",
                "Type, for example:  power(alpha=0.5)",
            )
        return powers
