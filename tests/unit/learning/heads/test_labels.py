"""Heads of labels: ridge for each, probabilities and thresholds from rows left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.calibration import _SigmoidCalibration
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import Ridge
from sklearn.metrics import f1_score, precision_recall_curve

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.heads import HEADS_OF, Labeller, RidgeLabeller, head_from_state, parse_head
from cutpoint.learning.metrics import best_threshold, fit_sigmoid

NAMES = ["ant", "bee", "cat", "dog"]


def rows(n_items: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, Y = make_multilabel_classification(400, 20, n_classes=4, random_state=3)
    half = slice(None, n_items) if seed == 0 else slice(-n_items, None)
    return X[half], Y[half]


@pytest.mark.parametrize("kind", list(HEADS_OF["labels"]))
def test_it_learns_and_is_the_same_again(kind: str) -> None:
    head = parse_head(kind, "labels")
    assert isinstance(head, Labeller)
    head.fit(*rows(), names=NAMES)
    X, Y = rows(seed=1)
    plain = Ridge(head.chosen["alpha"]).fit(*rows()).predict(X) > 0.5
    assert f1_score(Y, head.predict(X), average="macro") > f1_score(Y, plain, average="macro")
    assert list(head.labels_) == NAMES
    fields, arrays = head.to_state()
    again = head_from_state(json.loads(json.dumps(fields)), load(save(arrays)), "labels")
    assert isinstance(again, Labeller)
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), head.predict(X))
    assert list(again.labels_) == NAMES


def test_left_out_scores_are_those_of_ridge_without_the_row() -> None:
    X, Y = rows()
    head = RidgeLabeller(alphas=30).fit(X, Y)
    for row in (0, 50, 199):
        rest = np.delete(np.arange(200), row)
        one = Ridge(30).fit(X[rest], Y[rest]).predict(X[[row]])
        np.testing.assert_allclose(head.held_out_scores_[[row]], one, rtol=1e-8)


def test_the_sigmoid_is_scikit_learns_of_the_same_left_out_scores() -> None:
    X, Y = rows()
    head = RidgeLabeller().fit(X, Y)
    for column in range(4):
        scores = head.held_out_scores_[:, column]
        theirs = _SigmoidCalibration().fit(scores, Y[:, column])
        np.testing.assert_allclose(
            head._probabilities(head.held_out_scores_)[:, column], theirs.predict(scores), atol=1e-5
        )


def test_thresholds_have_the_largest_f1_there_is_on_rows_left_out() -> None:
    X, Y = rows()
    head = RidgeLabeller().fit(X, Y)
    likely = head._probabilities(head.held_out_scores_)
    for column in range(4):
        precision, recall, _ = precision_recall_curve(Y[:, column], likely[:, column])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        found = f1_score(Y[:, column], likely[:, column] >= head.thresholds_[column])
        np.testing.assert_allclose(found, best)


def test_a_label_that_nothing_tells_is_as_likely_as_it_is_common() -> None:
    """Left out, a row of noise is told to be rather what it is not; no sigmoid may follow that."""
    random = np.random.default_rng(0)
    truth = (np.arange(60) < 15).astype(float)
    slope, offset = fit_sigmoid(-truth + 0.1 * random.normal(size=60), truth)
    assert slope == 0
    np.testing.assert_allclose(1 / (1 + np.exp(-offset)), 0.25, atol=0.02)


def test_a_threshold_lies_between_probabilities_and_takes_all_where_that_is_best() -> None:
    assert best_threshold(np.array([0.1, 0.2, 0.6, 0.8]), np.array([0, 0, 1, 1])) == 0.4
    assert best_threshold(np.array([0.5, 0.5, 0.5]), np.array([1, 0, 1])) == 0


def test_what_is_no_matrix_of_labels_is_refused() -> None:
    X, Y = rows()
    with pytest.raises(UsageError, match="no matrix of zeros and ones"):
        RidgeLabeller().fit(X, Y[:, 0])
    with pytest.raises(UsageError, match="no matrix of zeros and ones"):
        RidgeLabeller().fit(X, Y * 2)
    with pytest.raises(ShapeError, match="3 names do not fit 4 labels"):
        RidgeLabeller().fit(X, Y, names=NAMES[:3])
    Y = Y.copy()
    Y[:, 2] = 1
    with pytest.raises(UsageError, match="Label cat can't be learned: every row has it"):
        RidgeLabeller().fit(X, Y, names=NAMES)
