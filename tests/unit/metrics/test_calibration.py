from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from cutpoint.metrics import calibration_error, fit_temperature, reliability, softmax


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
