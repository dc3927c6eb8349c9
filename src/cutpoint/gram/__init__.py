"""The exact engine: one eigendecomposition a candidate, then every λ at once."""

from cutpoint.gram.moments import Moments, Variances
from cutpoint.gram.ridge import RidgeSolution, Spectrum, alpha_grid, one_hot

__all__ = ["Moments", "RidgeSolution", "Spectrum", "Variances", "alpha_grid", "one_hot"]
