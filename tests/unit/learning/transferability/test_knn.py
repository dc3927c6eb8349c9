from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from cutpoint.learning.transferability import knn_loo
from tests.references import inputs


@pytest.mark.parametrize("make", [inputs.wide, inputs.source_probabilities])
def test_accuracy_equals_scikit_learns_left_out_one_by_one(make) -> None:
    X, y = make()
    X, y = X[:150], y[:150]
    model = KNeighborsClassifier(1, algorithm="brute")
    assert knn_loo(X, y) == pytest.approx(cross_val_score(model, X, y, cv=LeaveOneOut()).mean())


def test_of_equally_near_rows_the_first_counts() -> None:
    X = np.array([[0.0], [1.0], [-1.0], [5.0], [5.0], [5.0]])
    assert knn_loo(X, np.array([0, 0, 1, 2, 2, 1])) == pytest.approx(4 / 6)
    assert knn_loo(X + 0.1, np.array([0, 1, 0, 1, 2, 2])) == pytest.approx(1 / 6)


def test_many_rows_are_taken_in_blocks() -> None:
    X = np.arange(1200.0)[:, None]
    assert knn_loo(X, np.arange(1200) // 2) == pytest.approx(0.5 + 1 / 1200)


def test_rows_a_last_digit_apart_are_compared_by_their_differences() -> None:
    """Far from the origin products lose what tells 1 from 1 + 1e-9."""
    X = np.array([[0.0, 0], [1 + 1e-9, 0], [0, 1], [3e3, 0], [3e3, 1], [1e4, 1e4], [1e4, 1e4 + 1]])
    assert knn_loo(X, np.array([0, 1, 0, 2, 2, 3, 3])) == pytest.approx(6 / 7)
    assert knn_loo(X, np.array([0, 0, 1, 2, 2, 3, 3])) == pytest.approx(5 / 7)


def test_a_row_is_never_its_own_neighbour_and_a_twin_is() -> None:
    assert knn_loo(np.array([[0.0], [10.0]]), np.array([0, 1])) == 0
    assert knn_loo(np.array([[0.0], [10.0], [0.0]]), np.array([0, 1, 0])) == pytest.approx(2 / 3)
