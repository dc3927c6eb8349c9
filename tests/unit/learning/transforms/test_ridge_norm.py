from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import Spectrum, alpha_grid, one_hot
from cutpoint.learning.transforms import RidgeNormSelect
from tests.unit.learning.transforms.test_select import planted


def test_the_scores_are_squared_lengths_of_scikit_learns_ridge_weights() -> None:
    """Reference: `RidgeCV`, which chooses the same λ by the same leave-one-out error."""
    X, y = planted()
    grid = alpha_grid(Spectrum(X))
    reference = RidgeCV(alphas=grid).fit(X, one_hot(y, range(3)))
    found = RidgeNormSelect(5).fit(X, y)
    assert found.alpha_ == pytest.approx(reference.alpha_)
    np.testing.assert_allclose(found.scores_, np.square(reference.coef_).sum(axis=0), rtol=1e-8)
    assert np.flatnonzero(found.get_support()).tolist() == [0, 1, 2, 3, 4]  # what was planted


def test_columns_that_never_vary_are_refused() -> None:
    with pytest.raises(UsageError, match="all 3 columns are constant"):
        RidgeNormSelect().fit(np.ones((6, 3)), np.arange(6) % 2)
