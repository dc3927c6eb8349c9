from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata
from sklearn.decomposition import PCA

from cutpoint.base.errors import UsageError
from cutpoint.learning.transferability import parc
from tests.references import inputs


def test_ties_share_their_mean_rank() -> None:
    """Reference: Pearson's correlation of scipy's average ranks, on scikit-learn's components."""
    X, y = inputs.tall()
    standard = PCA(32, svd_solver="full").fit_transform(X)
    standard /= standard.std(axis=0)
    pairs = pdist(standard, "correlation")
    labels = pdist(np.eye(10)[y], "correlation")
    expected = np.corrcoef(rankdata(pairs), rankdata(labels.round(9)))[0, 1]
    assert parc(X, y) == pytest.approx(expected, abs=1e-9)
    # Unrounded, as in the published code, correlations of one-hot rows differ in their last digit.
    assert len(np.unique(1 - np.corrcoef(np.eye(10)[y]))) > 2


def test_one_direction_is_refused() -> None:
    X, y = inputs.tall()
    with pytest.raises(UsageError, match="1 direction"):
        parc(X[:, :1], y)


def test_rows_all_of_different_classes_are_refused_and_one_pair_is_enough() -> None:
    X, _ = inputs.tall()
    with pytest.raises(UsageError, match="all 6 rows are of different classes"):
        parc(X[:6], np.arange(6))
    assert np.isfinite(parc(X[:6], np.array([0, 1, 2, 3, 4, 4])))


def test_two_components_are_enough_and_32_are_kept() -> None:
    X, y = inputs.tall()
    X, y = X[:80], y[:80]
    assert parc(X, y) == parc(X, y, n_components=32) != parc(X, y, n_components=31)
    assert -1 <= parc(X, y, n_components=2) <= 1
    with pytest.raises(UsageError, match=r"1 direction\(s\)"):
        parc(X, y, n_components=1)


def test_the_published_version_is_in_percent() -> None:
    X, y = inputs.tall()
    assert parc(X[:80], y[:80], compat="dbolya") == pytest.approx(100 * parc(X[:80], y[:80]), abs=5)
