from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from cutpoint.learning.gram import Spectrum, alpha_grid
from cutpoint.learning.transferability import loo_ridge
from tests.references import inputs


def test_accuracy_equals_ridgecv_s_left_out_predictions() -> None:
    """Reference: scikit-learn's `RidgeCV`, the same λ, chosen by the same squared error."""
    X, y = inputs.tall()
    alphas = alpha_grid(Spectrum(X))
    Y = np.eye(10)[y]
    errors = RidgeCV(alphas, store_cv_results=True).fit(X, Y).cv_results_  # (n, targets, alphas)
    best = errors.mean(axis=(0, 1)).argmin()
    # Its errors are squares, so the sign of a left-out residual is that of the fit's.
    fitted = RidgeCV([alphas[best]]).fit(X, Y).predict(X)
    left_out = Y - np.sign(Y - fitted) * np.sqrt(errors[:, :, best])
    assert loo_ridge(X, y) == pytest.approx((left_out.argmax(axis=1) == y).mean())


def test_groups_are_left_out_together() -> None:
    random = np.random.default_rng(0)
    X = np.repeat(random.normal(size=(60, 80)), 5, axis=0)
    y, groups = np.repeat(np.arange(60) % 2, 5), np.repeat(np.arange(60), 5)
    assert loo_ridge(X, y) == 1
    assert loo_ridge(X, y, groups=groups) < 0.75
