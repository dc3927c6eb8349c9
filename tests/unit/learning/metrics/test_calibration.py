from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from sklearn.metrics import log_loss

from cutpoint.learning.metrics import (
    calibration,
    calibration_error,
    fit_temperature,
    reliability,
    softmax,
)


def overconfident(n_items: int = 4000):
    """Logits that are 3 times too large for the labels drawn from them."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(n_items, 4))
    probabilities = softmax(logits)
    truth = np.array([random.choice(4, p=row) for row in probabilities])
    return 3 * logits, truth


def test_the_temperature_that_was_put_in_is_found_again() -> None:
    logits, truth = overconfident()
    assert fit_temperature(logits, truth) == pytest.approx(3.0, rel=0.1)


def test_scaling_lowers_the_log_loss_and_keeps_the_argmax() -> None:
    logits, truth = overconfident()
    scaled = softmax(logits, fit_temperature(logits, truth))
    assert log_loss(truth, scaled) < log_loss(truth, softmax(logits)) - 0.1
    np.testing.assert_array_equal(scaled.argmax(1), logits.argmax(1))


def test_scaling_lowers_the_calibration_error() -> None:
    logits, truth = overconfident()
    errors = []
    for temperature in (1.0, fit_temperature(logits, truth)):
        probabilities = softmax(logits, temperature)
        errors.append(calibration_error(probabilities.max(1), probabilities.argmax(1) == truth))
    assert errors[1] < 0.03 < errors[0]


def test_the_error_of_a_coin_that_claims_certainty_is_one_half() -> None:
    assert calibration_error(np.ones(100), np.arange(100) % 2 == 0) == pytest.approx(0.5, abs=0.04)


def test_bins_have_equal_mass() -> None:
    rows = reliability(np.linspace(0, 1, 150), np.ones(150), n_bins=15)
    assert set(rows[:, 2]) == {10}


@pytest.mark.parametrize("n_items", [20, 200, 2000])
def test_n_right_out_of_n_is_no_certainty(n_items: int) -> None:
    """Laplace's rule: (n + 1) / (n + 2), by Platt's smoothed targets."""
    truth = np.arange(n_items) % 3
    scores = np.eye(3)[truth]
    found = softmax(scores, fit_temperature(scores, truth)).max(1)
    np.testing.assert_allclose(found, (n_items + 1) / (n_items + 2), atol=1e-4)


def test_softmax_is_scipys_at_temperature_1_unless_said_otherwise() -> None:
    scores = np.array([[2.0, 1.0, -1.0], [0.0, 0.0, 5.0]])
    np.testing.assert_allclose(softmax(scores), scipy.special.softmax(scores, axis=1))
    np.testing.assert_allclose(softmax(scores, 4.0), scipy.special.softmax(scores / 4, axis=1))


def test_the_log_loss_is_scikit_learns() -> None:
    logits, truth = overconfident(200)
    assert calibration.log_loss(logits, truth) == pytest.approx(log_loss(truth, softmax(logits)))


@pytest.mark.parametrize("scale", [1 / 200, 200.0])
def test_scores_of_any_scale_are_brought_to_the_same_probabilities(scale: float) -> None:
    logits, truth = overconfident(1000)
    expected = softmax(logits, fit_temperature(logits, truth))
    scaled = softmax(scale * logits, fit_temperature(scale * logits, truth))
    np.testing.assert_allclose(scaled, expected, atol=1e-3)


def test_bins_and_their_error_by_hand() -> None:
    """Five items in two bins, by confidence: three with 0.2, 0.4, 0.6, two with 0.8 and 1."""
    confidence = np.array([1.0, 0.2, 0.6, 0.8, 0.4])
    is_right = np.array([True, False, True, False, False])
    rows = reliability(confidence, is_right, n_bins=2)
    np.testing.assert_allclose(rows, [[0.4, 1 / 3, 3], [0.9, 0.5, 2]])
    expected = (3 * (0.4 - 1 / 3) + 2 * 0.4) / 5
    assert calibration_error(confidence, is_right, n_bins=2) == pytest.approx(expected)


def test_few_items_are_in_few_bins() -> None:
    """10 of 16 right at .5 is an error of .125; in 15 bins it would be .4375."""
    confidence, is_right = np.linspace(0.49, 0.51, 16), np.arange(16) % 8 < 5
    assert calibration_error(confidence, is_right) == pytest.approx(0.125)
    assert [len(reliability(np.full(n, 0.5), np.ones(n))) for n in (1, 39, 40, 300, 9000)] == [
        *(1, 1, 2, 15, 15)
    ]
    random = np.random.default_rng(0)
    confidence, is_right = random.random(400), random.random(400) < 0.5
    assert calibration_error(confidence, is_right) == calibration_error(confidence, is_right, 15)
