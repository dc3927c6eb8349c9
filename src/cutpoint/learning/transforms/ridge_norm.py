"""Columns by the length of their ridge weights: Head2Toe's selection for the price of one ridge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from cutpoint.learning.gram import Spectrum, alpha_grid, loo_path, one_hot
from cutpoint.learning.shared.limits import SHARE_OR_COUNT, Limit
from cutpoint.learning.transforms.base import LabelledTransform
from cutpoint.learning.transforms.select import Selector, check_any, connectivity, top


class RidgeNormSelect(Selector, LabelledTransform):
    """The columns with the longest rows of weights in a ridge head on all of them.

    Parameters
    ----------
    keep : int or float, default 0.1
        Columns, or share of them; they should have one scale.

    Attributes
    ----------
    alpha_ : float
        λ of the smallest leave-one-out squared error.
    scores_ : float64 array of shape (n_features,)
        ``Σ_j w_ij²``, as `GroupLasso`'s, of weights that no group penalty has thinned.
    """

    kind: ClassVar[str] = "ridge_norm"
    _keep_decides: ClassVar[bool] = True
    limits: ClassVar[Mapping[str, Limit]] = {"keep": SHARE_OR_COUNT}

    def __init__(self, keep: int | float = 0.1) -> None:
        self.keep = keep

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the ridge, exactly, and score its columns."""
        X, truth, classes = self._labelled_rows(X, y)
        check_any(self, X.min(axis=0) < X.max(axis=0))
        spectrum, targets = Spectrum(X), one_hot(truth, range(len(classes)))
        self.alpha_ = loo_path(spectrum, targets, alpha_grid(spectrum)).alpha
        self.scores_ = connectivity(spectrum.solve(targets, self.alpha_).coef.T)
        self.mask_ = top(self.scores_, self.keep)
        return self
