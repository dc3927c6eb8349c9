from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from cutpoint.base.errors import DataError, ShapeError, UsageError
from cutpoint.learning.gram import Targets, prior_shift


def test_classes_become_zeros_and_ones() -> None:
    targets = Targets.of_classes(["cat", "dog", "cat", "eel"])
    assert targets.kind == "classes"
    assert targets.names == ("cat", "dog", "eel")
    np.testing.assert_array_equal(targets.truth, [0, 1, 0, 2])
    np.testing.assert_array_equal(targets.Y, np.eye(3)[[0, 1, 0, 2]])
    assert targets.Y.dtype == np.float64


def test_classes_may_be_given_in_order_and_need_not_all_be_seen() -> None:
    targets = Targets.of_classes([3, 1, 3], classes=[3, 2, 1])
    assert targets.names == ("3", "2", "1")
    np.testing.assert_array_equal(targets.truth, [0, 2, 0])


def test_scores_of_classes_are_right_where_the_largest_is_the_true_one() -> None:
    """Reference: scikit-learn's `accuracy_score`."""
    random = np.random.default_rng(0)
    targets, scores = Targets.of_classes(random.integers(0, 3, 50)), random.normal(size=(50, 3))
    right = targets.right(scores)
    assert right is not None
    assert right.dtype == bool
    assert targets.score(scores) == accuracy_score(targets.truth, scores.argmax(1))


def test_scores_of_labels_are_right_label_by_label() -> None:
    matrix = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]])
    targets = Targets.of_labels(matrix, ["indoors", "people", "text"])
    scores = np.array([[0.9, 0.4, 0.2], [0.1, 0.7, 0.5], [0.2, 0.1, 0.9]])
    np.testing.assert_allclose(targets.right(scores), [2 / 3, 1, 0])
    assert targets.score(scores) == pytest.approx(5 / 9)


def test_scores_of_values_are_r_squared() -> None:
    """Reference: scikit-learn's `r2_score`, mean over targets."""
    random = np.random.default_rng(0)
    values = random.normal(size=(30, 2)) * [1, 100]
    scores = values + random.normal(size=(30, 2))
    targets = Targets.of_values(values)
    assert targets.right(scores) is None
    assert targets.score(scores) == pytest.approx(r2_score(values, scores))
    assert Targets.of_values(values[:, 0]).Y.shape == (30, 1)


def test_balanced_weights_make_classes_count_equally() -> None:
    weights = Targets.of_classes([0, 0, 0, 1]).balanced_weights()
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2])
    with pytest.raises(UsageError, match="values"):
        Targets.of_values(np.arange(3)).balanced_weights()


def test_shifted_priors_are_those_of_the_new_place() -> None:
    """By hand: of 40 A and 10 B a test is positive for 30 and 5. Where B is four times as common
    as A, P(A | positive) = .75 × .2 / (.75 × .2 + .5 × .8).
    """
    shifted = prior_shift(np.array([[30 / 35, 5 / 35]]), np.array([0.8, 0.2]), np.array([0.2, 0.8]))
    np.testing.assert_allclose(shifted, [[0.15 / 0.55, 0.4 / 0.55]])
    with pytest.raises(UsageError, match="prior in training 0"):
        prior_shift(np.array([[1.0, 0.0]]), np.array([1.0, 0.0]), np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        (Targets.of_classes, ["a", "a"], "1 class"),
        (Targets.of_classes, ["a", None], "1 are missing"),
        (Targets.of_classes, [1.0, np.nan], "1 are missing"),
        (Targets.of_labels, [[0, 1], [0, 0]], "1 of 2 columns are constant"),
        (Targets.of_labels, [[0, 2], [1, 0]], "from 0.0 to 2.0"),
        (Targets.of_values, [1.0, np.inf], "1 are missing or not finite"),
        (Targets.of_values, [2.0, 2.0], "1 of 1 columns"),
        (Targets.of_values, ["a", "b"], "of type <U1"),
    ],
)
def test_targets_nothing_can_be_learned_from_are_refused(
    make: Any, given: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        make(given)


def test_unknown_classes_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="unknown classes: eel"):
        Targets.of_classes(["cat", "dog", "eel"], classes=["cat", "dog"])
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        Targets.of_labels(np.array([0, 1, 0]))
    with pytest.raises(ShapeError, match="1 names don't fit 2 columns"):
        Targets.of_labels(np.array([[0, 1], [1, 0]]), ["a"])


def test_rows_sure_of_a_class_that_is_no_more_are_refused() -> None:
    half, gone = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    with pytest.raises(UsageError, match="Row 1 gives all its probability"):
        prior_shift(np.array([[0.5, 0.5], [0.0, 1.0]]), half, gone)


def test_two_items_of_two_kinds_are_enough() -> None:
    assert Targets.of_classes(["a", "b"]).Y.tolist() == [[1, 0], [0, 1]]
    assert Targets.of_labels(np.array([[0], [1]])).names == ("label 0",)
    assert Targets.of_values(np.array([1, 2])).Y.tolist() == [[1.0], [2.0]]
    assert Targets.of_values(np.array([[1.0, 5], [2, 6]])).names == ("value 0", "value 1")
    for make in (Targets.of_labels, Targets.of_values):
        with pytest.raises(ShapeError, match=r"The (labels|values) have shape"):
            make(np.array([[0, 1]]))
        with pytest.raises(ShapeError, match=r"The (labels|values) have shape"):
            make(np.zeros((3, 0)))


def test_one_constant_column_among_others_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 columns are constant"):
        Targets.of_values(np.array([[1.0, 5], [2, 5]]))
    with pytest.raises(DataError, match="1 of 2 columns are constant"):
        Targets.of_labels(np.array([[0, 1], [1, 1]]))


def test_a_score_of_exactly_one_half_says_the_label_is_there() -> None:
    targets = Targets.of_labels(np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(targets.right(np.array([[0.5, 0.49], [0.5, 0.5]])), [1.0, 0.5])


def test_priors_may_be_none_in_the_new_place_and_in_training_never() -> None:
    even = np.array([0.5, 0.5])
    shifted = prior_shift(np.array([[0.4, 0.6]]), even, np.array([1.0, 0.0]))
    np.testing.assert_array_equal(shifted, [[1.0, 0.0]])
    for probabilities, old, new in (
        ([[0.4, 0.6]], even, [0.0, 0.0]),
        ([[0.4, 0.6]], even, [-0.1, 1.1]),
        ([[0.4, 0.6]], [0.0, 1.0], even),
        ([[-0.1, 1.1]], even, even),
    ):
        with pytest.raises(UsageError, match="Smallest: probability"):
            prior_shift(np.array(probabilities), np.array(old), np.array(new))
