"""LogME against the evidence computed densely (acceptance check 1)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from cutpoint.learning.transferability import log_me
from tests.references import inputs


def dense_evidence(X: np.ndarray, target: np.ndarray) -> float:
    """Return the maximum over α and β of scipy's Gaussian log-density, a row."""
    identity, gram = np.eye(len(X)), X @ X.T

    def minus(logs: np.ndarray) -> float:
        covariance = identity / np.exp(logs[1]) + gram / np.exp(logs[0])
        return -float(multivariate_normal.logpdf(target, cov=covariance)) / len(X)

    found = minimize(
        minus, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13}
    )
    return -float(found.fun)


@pytest.mark.parametrize("make", [inputs.tall, inputs.wide])
def test_log_me_is_the_exact_evidence(make) -> None:
    """Reference: `scipy.stats.multivariate_normal`, maximised; tolerance 1e-9."""
    X, y = make()
    X, y = X[:60], (y[:60] > 4).astype(int)
    expected = np.mean([dense_evidence(X, (y == label).astype(float)) for label in (0, 1)])
    assert log_me(X, y) == pytest.approx(expected, abs=1e-9)


def test_published_code_agrees_where_rows_are_many_and_the_rank_full() -> None:
    X, y = inputs.tall()
    assert log_me(X, y, compat="thuml") == pytest.approx(log_me(X, y), abs=1e-5)


def test_published_code_is_wrong_by_the_missing_eigenvalues() -> None:
    """N = 120, D = 416: the version of the first paper counts them and agrees to 1e-2."""
    X, y = inputs.wide()
    assert log_me(X, y, compat="thuml-icml") == pytest.approx(log_me(X, y), abs=1e-2)
    assert log_me(X, y, compat="thuml") > log_me(X, y) + 5


def test_published_code_prefers_wide_noise_and_log_me_does_not() -> None:
    noise, y = wide_noise(1000)
    informative = noise[:, :64] + 3 * np.eye(64)[y]
    assert log_me(noise, y, compat="thuml") > log_me(informative, y, compat="thuml")
    assert log_me(noise, y) < log_me(informative, y)


def wide_noise(n_features: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(300, n_features)), np.arange(300) % 3
