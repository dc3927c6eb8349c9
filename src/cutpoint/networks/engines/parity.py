"""The gate: an engine's features against the framework's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cutpoint.base.types import Array, Features

MIN_COSINE = 0.9999
MAX_RELATIVE_ERROR = 1e-3
MAX_ERROR_OF_PADDED = 1e-5
"""For networks of padded items of any length, whose rows must not depend on a batch's width."""
MIN_COSINES = {"bf16": 0.9, "fp16": 0.9, "int8": 0.25}
"""For precisions the user chose: only what is broken is refused here; what accuracy they cost is
measured and reported. Where means lie near zero int8 has some below 0.6, and loses no accuracy
that could be told from chance (docs/benchmarks/precision.md)."""


@dataclass(frozen=True)
class Parity:
    """How close two sets of features are.

    Attributes
    ----------
    cosine : float
        Smallest cosine of two rows, over all taps and rows.
    relative_error : float
        Largest difference divided by the largest magnitude of that tap, over all taps.
    """

    cosine: float
    relative_error: float

    @property
    def passes(self) -> bool:
        return self.cosine >= MIN_COSINE and self.relative_error <= MAX_RELATIVE_ERROR

    def passes_in(self, precision: str, is_padded: bool = False) -> bool:
        """Whether this is close enough for features in `precision`."""
        if precision != "fp32":
            return self.cosine >= MIN_COSINES[precision]
        return self.passes and (not is_padded or self.relative_error <= MAX_ERROR_OF_PADDED)

    def __str__(self) -> str:
        return f"cosine {self.cosine:.6f}, relative error {self.relative_error:.1e}"


def compare(features: Features, reference: Features) -> Parity:
    """Return the parity of `features` with `reference`; NaN anywhere fails it."""
    cosines: list[float] = []
    errors: list[float] = []
    for name, expected in reference.items():
        rows = features[name].reshape(len(expected), -1).astype(np.float64)
        truth = expected.reshape(len(expected), -1).astype(np.float64)
        if not (np.isfinite(rows).all() and np.isfinite(truth).all()):
            return Parity(0.0, float("inf"))
        cosines.append(_smallest_cosine(rows, truth))
        scale = max(float(np.abs(truth).max()), float(np.finfo(np.float32).tiny))
        errors.append(float(np.abs(rows - truth).max()) / scale)
    return Parity(min(cosines), max(errors))


def _smallest_cosine(rows: Array, truth: Array) -> float:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(truth, axis=1)
    same = (rows == truth).all(axis=1)
    products = np.einsum("ij,ij->i", rows, truth)
    cosines = np.where(same, 1.0, products / np.where(lengths > 0, lengths, 1.0))
    return float(cosines.min())
