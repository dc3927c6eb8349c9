"""What a fitted stage or head does to a row, in a form that can leave Python.

Nearly all are affine maps, which fold into one; the rest are a few operations on rows, written once
in the operations each framework brings. What is neither says so, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.special
from scipy.sparse import csr_array, diags_array, issparse

from cutpoint.base.errors import UsageError
from cutpoint.base.ops import NumpyOps, Ops
from cutpoint.base.types import Array, Float64

_SHORTEST = 1e-30  # a squared length that float32 still holds; shorter rows shrink to zero


class RowOps(Ops, Protocol):
    """What pools are written in, constants, and the functions that bend a layer or end a head."""

    def constant(self, values: Any) -> Any:
        """A float64 array of NumPy, or a sparse one of SciPy, as an array of its own."""

    def softmax(self, x: Any) -> Any:
        """Softmax over axis 1."""

    def sigmoid(self, x: Any) -> Any:
        """Element-wise ``1 / (1 + exp(−x))``."""

    def tanh(self, x: Any) -> Any:
        """Element-wise hyperbolic tangent."""


class NumpyRowOps(NumpyOps):
    """NumPy arrays; sparse matrices stay so."""

    def constant(self, values: Any) -> Any:
        return values

    def matmul(self, x: Any, y: Any) -> Any:
        return x @ y

    def softmax(self, x: Any) -> Any:
        return scipy.special.softmax(x, axis=1)

    def sigmoid(self, x: Any) -> Any:
        return scipy.special.expit(x)

    def tanh(self, x: Any) -> Any:
        return np.tanh(x)


NUMPY = NumpyRowOps()


class Step(Protocol):
    """Rows (n_items, n_in) to rows (n_items, n_out)."""

    def run(self, x: Any, ops: RowOps) -> Any: ...


@dataclass(frozen=True, eq=False)
class Affine:
    """``x @ W + b``.

    Attributes
    ----------
    W : float64 array, or sparse array, of shape (n_in, n_out)
        Sparse where it only scales or selects: of wide rows it would not fit in memory otherwise.
    b : float64 array of shape (n_out,)
    """

    W: Any
    b: Float64

    def run(self, x: Any, ops: RowOps) -> Any:
        return ops.add(ops.matmul(x, ops.constant(self.W)), ops.constant(self.b))

    def then(self, other: Affine) -> Affine:
        """Return both as one."""
        return Affine(self.W @ other.W, self.b @ other.W + other.b)

    @property
    def size(self) -> int:
        """Numbers of W that are kept."""
        return int(self.W.nnz if issparse(self.W) else self.W.size)


@dataclass(frozen=True)
class UnitLength:
    """Each block of columns divided by its Euclidean length; a block of zeros stays.

    A length below 1e-15 is taken for that much, so that float32 divides by no zero.
    """

    widths: tuple[int, ...]

    def run(self, x: Any, ops: RowOps) -> Any:
        return _of_blocks(self.widths, x, ops, self._of_block)

    def _of_block(self, x: Any, ops: RowOps) -> Any:
        square = ops.scale(ops.mean(ops.multiply(x, x), (1,)), float(x.shape[1]))
        factor = ops.power(ops.at_least(square, _SHORTEST), -0.5)
        return ops.multiply(x, ops.reshape(factor, (1,)))


@dataclass(frozen=True)
class LayerNorm:
    """Each block of columns brought to mean 0 and deviation 1, as layer norm does."""

    widths: tuple[int, ...]
    eps: float

    def run(self, x: Any, ops: RowOps) -> Any:
        return _of_blocks(self.widths, x, ops, self._of_block)

    def _of_block(self, x: Any, ops: RowOps) -> Any:
        mean = ops.reshape(ops.mean(x, (1,)), (1,))
        centred = ops.add(x, ops.scale(mean, -1.0))
        variance = ops.mean(ops.multiply(centred, centred), (1,))
        deviation = ops.power(ops.add(variance, ops.constant(np.full(1, self.eps))), -0.5)
        return ops.multiply(centred, ops.reshape(deviation, (1,)))


@dataclass(frozen=True)
class SignedPowers:
    """``sign(x) |x|^alpha``."""

    alpha: float

    def run(self, x: Any, ops: RowOps) -> Any:
        above = ops.power(ops.at_least(x, 0.0), self.alpha)
        below = ops.power(ops.at_least(ops.scale(x, -1.0), 0.0), self.alpha)
        return ops.add(above, ops.scale(below, -1.0))


@dataclass(frozen=True)
class OfBlocks:
    """The mean or maximum of blocks of one width, column by column.

    Attributes
    ----------
    how : {"mean", "max"}
    n_blocks : int
    """

    how: str
    n_blocks: int

    def run(self, x: Any, ops: RowOps) -> Any:
        apart = ops.reshape(x, (self.n_blocks, x.shape[1] // self.n_blocks))
        return ops.mean(apart, (1,)) if self.how == "mean" else ops.max(apart, (1,))


@dataclass(frozen=True)
class Relu:
    """Nothing below zero."""

    def run(self, x: Any, ops: RowOps) -> Any:
        return ops.at_least(x, 0.0)


@dataclass(frozen=True)
class Tanh:
    """Hyperbolic tangent of each number."""

    def run(self, x: Any, ops: RowOps) -> Any:
        return ops.tanh(x)


@dataclass(frozen=True)
class Softmax:
    """Scores to probabilities of classes."""

    def run(self, x: Any, ops: RowOps) -> Any:
        return ops.softmax(x)


@dataclass(frozen=True)
class Sigmoid:
    """Scores to a probability of each label."""

    def run(self, x: Any, ops: RowOps) -> Any:
        return ops.sigmoid(x)


Steps = tuple[Step, ...]


class Leaving:
    """A fitted estimator that says what it does to a row, or why it can't."""

    kind: ClassVar[str]
    stays: ClassVar[str] = ""
    """Why it can't leave Python; empty: it can."""

    def affine(self) -> tuple[Any, Float64]:
        """Return W (n_in, n_out), perhaps sparse, and b (n_out,), float64: it gives x @ W + b.

        Raises
        ------
        UsageError
            If it is no affine map.
        """
        raise UsageError(
            f"{self.kind} is no affine map of a row.",
            f"{self.stays or 'It takes more than one step'}.",
            "A stage or head that is one, such as pca or ridge.",
            f"Ask for its steps instead:  {type(self).__name__}.steps()",
        )

    def steps(self) -> Steps:
        """Return what it does to a row, one after the other.

        Raises
        ------
        UsageError
            If it can't leave Python.
        """
        if self.stays:
            raise UsageError(
                f"{self.kind} can't leave Python: {self.stays}.",
                "What leaves is written as products of matrices and a few operations on rows.",
                "Another stage or head, such as pca or ridge.",
                "Type, for example:  cutpoint.heads.RidgeHead().fit(X, y).steps()",
            )
        return (Affine(*self.affine()),)


def fold(steps: Iterable[Step]) -> Steps:
    """Return the same with adjacent affine steps as one.

    They stay two where one would be larger than both: a narrow middle saves work.
    """
    folded: list[Step] = []
    for step in steps:
        last = folded[-1] if folded else None
        if isinstance(step, Affine) and isinstance(last, Affine) and _is_less(last, step):
            folded[-1] = last.then(step)
        else:
            folded.append(step)
    return tuple(folded)


def run_steps(steps: Sequence[Step], x: Any, ops: RowOps = NUMPY) -> Any:
    """Return what steps make of rows (n_items, n_in)."""
    for step in steps:
        x = step.run(x, ops)
    return x


def scaling(factors: Array) -> Any:
    """Return the sparse matrix that multiplies each column by its factor."""
    return diags_array(np.asarray(factors, np.float64), format="csr")


def selecting(mask: Array) -> Any:
    """Return the sparse matrix of zeros and ones that keeps the columns of a mask."""
    columns = np.flatnonzero(mask)
    places = (columns, np.arange(len(columns)))
    return csr_array((np.ones(len(columns)), places), shape=(len(mask), len(columns)))


def _is_less(first: Affine, second: Affine) -> bool:
    """Say whether both as one are no larger than one after the other."""
    if issparse(first.W) or issparse(second.W):
        return True
    return int(first.W.shape[0] * second.W.shape[1]) <= first.size + second.size


def _of_blocks(widths: tuple[int, ...], x: Any, ops: RowOps, of_block: Any) -> Any:
    """Return what `of_block` makes of each block of columns, side by side."""
    ends = np.cumsum(widths).tolist()
    starts = [0, *ends[:-1]]
    parts = [ops.slice(x, 1, start, end) for start, end in zip(starts, ends, strict=True)]
    made = [of_block(part, ops) for part in parts]
    return ops.concat(made, 1) if len(made) > 1 else made[0]
