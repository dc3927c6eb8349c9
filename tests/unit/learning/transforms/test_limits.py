"""What parameters may be, and data on which stages have no answer."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.learning.shared.limits import COUNT, SHARE_OR_COUNT
from cutpoint.learning.transforms import PCA, UMAP, RandomisedSVD, SignedPower, VarianceSelect

RANDOM = np.random.default_rng(0)


def test_true_is_no_number_and_a_count_has_no_point() -> None:
    assert [COUNT.holds(value) for value in (1, np.int64(3), True, 5.0, np.nan)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert [SHARE_OR_COUNT.holds(value) for value in (1.0, 0.1, 1.5, 2, 0)] == [
        True, True, False, True, False,
    ]  # fmt: skip


def test_a_share_of_all_the_variance_keeps_all_components() -> None:
    X = RANDOM.normal(size=(40, 6))
    assert PCA(1.0).fit(X).components_.shape == (6, 6)
    assert PCA(1).fit(X).components_.shape == (1, 6)


def test_parameters_of_python_are_checked_as_typed_ones() -> None:
    with pytest.raises(UsageError, match="n_iter can't be -1"):
        RandomisedSVD(4, n_iter=-1).fit(RANDOM.normal(size=(20, 6)))


def test_powers_too_large_for_their_type_are_refused() -> None:
    X = np.full((3, 2), 10, np.float32)
    with pytest.raises(UsageError, match="is no float32"):
        SignedPower(100.0).fit(X).transform(X)


def test_a_column_constant_but_for_rounding_is_not_selected() -> None:
    """0.1 + 0.2 is 0.30000000000000004: a variance of 1e-33, not 0."""
    X = RANDOM.normal(size=(30, 3))
    X[:, 1] = np.where(np.arange(30) % 2, 0.3, 0.1 + 0.2)
    assert VarianceSelect(3).fit(X).get_support().tolist() == [True, False, True]


def test_equal_rows_have_no_layout() -> None:
    with pytest.raises(UsageError, match="20 rows have no neighbourhoods"):
        UMAP().fit(np.ones((20, 3)))
