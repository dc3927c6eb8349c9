from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError
from cutpoint.learning.transferability import leep


def test_a_source_that_knows_the_classes_scores_zero() -> None:
    y = np.array([0, 1, 2, 0, 1, 2])
    assert leep(np.eye(3)[y], y) == pytest.approx(0)


def test_a_source_that_knows_nothing_scores_minus_the_entropy_of_labels() -> None:
    y = np.array([0, 0, 0, 1])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert leep(np.full((4, 5), 0.2), y) == pytest.approx(-entropy)


def test_a_source_class_that_never_occurs_changes_nothing() -> None:
    random = np.random.default_rng(0)
    P, y = random.dirichlet(np.ones(4), 30), np.arange(30) % 3
    assert leep(np.pad(P, ((0, 0), (0, 1))), y) == pytest.approx(leep(P, y))


def test_logits_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"rows sum to 1"):
        leep(np.array([[2.0, -1.0], [0.5, 3.0]]), np.array([0, 1]))
