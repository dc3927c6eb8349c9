"""Folds: groups whole, classes even, rows judged once, and none whose class is not learned."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.learning.shared.folds import inner_folds, outer_folds, value_folds

TRUTH = np.repeat([0, 1, 2], [20, 12, 8])
GROUPS = np.arange(40) // 2


@pytest.mark.parametrize(
    "folds",
    [outer_folds(TRUTH, GROUPS), inner_folds(TRUTH, GROUPS), value_folds(40, GROUPS)],
    ids=["outer", "inner", "values"],
)
def test_each_row_is_judged_once_and_its_group_with_it(folds: list) -> None:
    assert sorted(np.concatenate([judge for _, judge in folds])) == list(range(40))
    for learn, judge in folds:
        assert sorted([*learn, *judge]) == list(range(40))
        assert not set(GROUPS[learn]) & set(GROUPS[judge])


def test_classes_are_even() -> None:
    for _, judge in (*outer_folds(TRUTH, None), *inner_folds(TRUTH)):
        counts = np.bincount(TRUTH[judge], minlength=3)
        assert np.abs(counts - np.array([4, 2.4, 1.6])).max() <= 1


def test_a_class_of_one_row_is_learned_and_never_judged_within_and_judged_without() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1, 2])
    assert all(6 in learn for learn, _ in inner_folds(truth))
    assert 6 in np.concatenate([judge for _, judge in outer_folds(truth, None)])


def test_folds_of_values_are_another_draw_for_another_seed() -> None:
    first, other = value_folds(40, seed=0), value_folds(40, seed=1)
    assert [j.tolist() for _, j in first] != [j.tolist() for _, j in other]
    assert len(value_folds(3)) == 3


def test_rows_of_one_group_or_one_a_class_have_no_folds() -> None:
    with pytest.raises(UsageError, match="all 40 training rows are of one group"):
        outer_folds(TRUTH, np.zeros(40))
    with pytest.raises(UsageError, match="no class has two"):
        outer_folds(np.arange(5), None)
    assert inner_folds(np.arange(5)) == []
