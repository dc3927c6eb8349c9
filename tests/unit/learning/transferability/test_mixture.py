from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from cutpoint.base.errors import UsageError
from cutpoint.learning.transferability import leep, nleep
from tests.references import inputs


def test_nleep_is_leep_of_a_mixture_s_posteriors() -> None:
    """Signs of components are free, and the seeded start depends on them: one is enough to try."""
    X, y = inputs.uneven()
    X = X[:, :1]
    reduced = PCA(1).fit_transform(X) * np.sign(PCA(1).fit(X).components_)
    posteriors = GaussianMixture(10, random_state=0).fit(reduced).predict_proba(reduced)
    assert nleep(X, y) == pytest.approx(leep(posteriors, y), abs=1e-9)


def test_a_seed_gives_one_score_and_another_a_different_one() -> None:
    X, y = inputs.tall()
    assert nleep(X, y, seed=1) == nleep(X, y, seed=1)
    assert nleep(X, y, seed=1) != nleep(X, y, seed=2)


def test_the_published_version_is_a_mean_probability() -> None:
    X, y = inputs.tall()
    assert 0 < nleep(X, y, compat="sfda") < 1
    assert np.log(nleep(X, y, compat="sfda")) >= nleep(X, y)  # Jensen


def test_as_many_gaussians_as_rows_are_refused() -> None:
    X, y = inputs.tall()
    with pytest.raises(UsageError, match="50 Gaussians"):
        nleep(X[:50], y[:50])


def test_one_row_more_than_gaussians_is_enough() -> None:
    """Five a class: two classes need eleven rows."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(11, 2)), np.arange(11) % 2
    assert np.isfinite(nleep(X, y))
    with pytest.raises(UsageError, match="10 rows are too few for NLEEP's 10 Gaussians"):
        nleep(X[:10], y[:10])


def test_components_hold_four_fifths_of_the_variance() -> None:
    """Variances 81 and 19 of 100: the first axis is enough; 79 and 21: it is not."""
    random = np.random.default_rng(0)
    y = np.arange(200) % 2
    axes = np.linalg.qr(np.c_[np.ones(200), random.normal(size=(200, 2))])[0][:, 1:]
    for share, is_enough in ((0.81, True), (0.79, False)):
        X = axes * np.sqrt([share, 1 - share])
        assert (nleep(X, y) == pytest.approx(nleep(X[:, :1], y), abs=1e-6)) is is_enough
