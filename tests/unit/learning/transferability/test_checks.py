"""Features on which a score has no value."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.transferability import SCORES, parc, sfda

OF_FEATURES = [name for name, score in SCORES.items() if score.needs == "features"]


@pytest.mark.parametrize("name", OF_FEATURES)
def test_features_without_columns_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=r"\(10, 0\)"):
        SCORES[name].function(np.zeros((10, 0)), np.arange(10) % 2)


def test_sfda_needs_rows_that_vary_within_a_class() -> None:
    for X, y in ((np.ones((20, 4)), np.arange(20) % 2), (np.eye(4), np.arange(4))):
        with pytest.raises(UsageError, match="do not vary within a class"):
            sfda(X, y)


def test_parc_needs_two_rows_of_one_class() -> None:
    with pytest.raises(UsageError, match="all 4 rows are of different classes"):
        parc(np.random.default_rng(0).normal(size=(4, 6)), np.arange(4))
