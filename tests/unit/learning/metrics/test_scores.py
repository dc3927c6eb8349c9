from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from cutpoint.learning.metrics import score


@pytest.mark.parametrize("classes", [(3, 8), tuple(range(10))])
def test_scores_equal_scikit_learns_on_real_digits(classes: tuple[int, ...]) -> None:
    X, y = load_digits(return_X_y=True)
    kept = np.isin(y, classes)
    X, y = X[kept] / 16, np.searchsorted(classes, y[kept])
    head = LogisticRegression(max_iter=500).fit(X[::2], y[::2])
    probabilities, truth = head.predict_proba(X[1::2]), y[1::2]
    found = score(probabilities, truth)
    if len(classes) == 2:
        auc = roc_auc_score(truth, probabilities[:, 1])
    else:
        auc = roc_auc_score(truth, probabilities, multi_class="ovr")
    assert found.auc == pytest.approx(auc)
    balanced = balanced_accuracy_score(truth, probabilities.argmax(1))
    assert found.balanced_accuracy == pytest.approx(balanced)
    assert found.accuracy.value == pytest.approx(accuracy_score(truth, probabilities.argmax(1)))
    assert np.trace(found.confusion) == round(found.accuracy.value * found.n_items)
    assert np.sum(found.confusion) == found.n_items


def test_one_class_has_no_auc() -> None:
    found = score(np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0, 0]))
    assert found.auc is None
    assert ("AUC", "–") in found.lines()


def test_a_class_without_test_items_does_not_break_the_scores() -> None:
    found = score(np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]), np.array([0, 1]))
    assert found.accuracy.value == 1
    assert found.macro_f1 == 1
    assert found.auc == 1


def test_scores_of_five_items_by_hand() -> None:
    """Truth 0 0 0 1 1, predicted 0 0 1 1 0: recalls 2/3 and 1/2, precisions 2/3 and 1/2."""
    right = np.array([0.9, 0.8, 0.3, 0.6, 0.4])
    truth = np.array([0, 0, 0, 1, 1])
    first = np.where(truth == 0, right, 1 - right)
    found = score(np.stack([first, 1 - first], axis=1), truth)
    assert found.confusion == ((2, 1), (1, 1))
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.log_loss == pytest.approx(-np.log(right).mean())
    assert found.auc == pytest.approx(4 / 6)  # pairs of both classes in the right order
    confidence = np.maximum(right, 1 - right)
    assert found.ece == pytest.approx(abs(confidence.mean() - 3 / 5))  # one bin for so few
    names = [name for name, _ in found.lines()]
    assert names[0] == "accuracy"
    assert names[-1] == "calibration error (ECE)"
    assert dict(found.lines())["AUC"] == "0.667"
    assert found.to_json()["confusion"] == ((2, 1), (1, 1))
