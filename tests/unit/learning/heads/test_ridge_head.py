from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import log_loss

from cutpoint.base.errors import DataError
from cutpoint.learning.heads import RidgeHead
from cutpoint.learning.metrics import calibration_error, softmax


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:400] / 16, y[:400], X[400:] / 16, y[400:]


def test_it_predicts_as_ridge_classifier_cv_does() -> None:
    """Reference: scikit-learn's `RidgeClassifierCV` with the same λ; targets ±1 there, 0/1 here."""
    X, y, X_test, _ = digits()
    alphas = np.logspace(-3, 3, 7)
    reference = RidgeClassifierCV(alphas).fit(X, y)
    head = RidgeHead(alphas).fit(X, y)
    assert head.alpha_ == pytest.approx(reference.alpha_)
    np.testing.assert_allclose(2 * head.outputs(X_test) - 1, reference.decision_function(X_test))


def test_probabilities_are_calibrated_on_rows_left_out() -> None:
    X, y, X_test, y_test = digits()
    head = RidgeHead().fit(X, y)
    probabilities = head.predict_proba(X_test)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    uncalibrated = softmax(head.outputs(X_test))
    assert log_loss(y_test, probabilities) < log_loss(y_test, uncalibrated) / 2
    is_right = probabilities.argmax(1) == y_test
    assert calibration_error(probabilities.max(1), is_right) < 0.1
    assert np.abs(head.held_out_scores_ - head.outputs(X)).max() > 1e-3  # never training scores


def test_groups_make_the_choice_of_alpha_honest() -> None:
    """Copies of each row flatter leave-one-out; leaving the copies out together does not."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 200)), random.integers(0, 2, 40)
    copies, labels, groups = np.repeat(X, 4, 0), np.repeat(y, 4), np.repeat(np.arange(40), 4)
    flattered = RidgeHead().fit(copies, labels)
    honest = RidgeHead().fit(copies, labels, groups=groups)
    assert (flattered.held_out_scores_.argmax(1) == labels).mean() == 1
    assert (honest.held_out_scores_.argmax(1) == labels).mean() < 0.75


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="two classes"):
        RidgeHead().fit(np.zeros((4, 2)), [1, 1, 1, 1])


def test_rows_that_are_not_finite_are_named() -> None:
    X, y, X_test, _ = digits()
    head = RidgeHead().fit(X, y)
    X_test[5, 3] = np.inf
    with pytest.raises(DataError, match="holds NaN or infinity in row 5"):
        head.predict(X_test)
    X[7, 3] = np.nan
    with pytest.raises(DataError, match="holds NaN or infinity in row 7"):
        RidgeHead().fit(X, y)
