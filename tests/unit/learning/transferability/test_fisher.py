from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import UsageError
from cutpoint.learning.transferability import sfda
from tests.references import inputs


def test_sfda_is_two_shrunk_discriminants() -> None:
    """By distances to class means in whitened space; tolerance 1e-9."""
    X, y = inputs.tall()

    def within(rows: np.ndarray) -> np.ndarray:
        return sum(
            (y == label).mean() * np.cov(rows[y == label].T, bias=True) for label in range(10)
        )

    shrinkage = np.exp(-5 * np.linalg.eigvalsh(within(X))[-1])

    def right(rows: np.ndarray) -> np.ndarray:
        matrix = within(rows)
        shrunk = (1 - shrinkage) * matrix + shrinkage * np.trace(matrix) / len(matrix) * np.eye(
            len(matrix)
        )
        # Whitened by it, the discriminant with an identity covariance is the nearest mean.
        whitened = np.linalg.solve(np.linalg.cholesky(shrunk), rows.T).T
        means = np.stack([whitened[y == label].mean(axis=0) for label in range(10)])
        squared = ((whitened[:, None] - means) ** 2).sum(axis=2)
        logits = np.log(np.bincount(y) / len(y)) - squared / 2
        logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return np.exp(logits[np.arange(len(y)), y])

    kept = right(X)[:, None]
    means = np.stack([X[y == label].mean(axis=0) for label in range(10)])
    others = np.stack([np.delete(means, label, axis=0).mean(axis=0) for label in range(10)])
    moved = kept * X + (1 - kept) * others[y]
    assert sfda(X, y) == pytest.approx(np.log(right(moved)).mean(), rel=1e-9)


def test_rows_that_do_not_vary_within_a_class_are_refused() -> None:
    X = np.array([[0.0, 1], [0, 1], [2, 3], [2, 3]])
    with pytest.raises(UsageError, match="rows do not vary within a class"):
        sfda(X, np.array([0, 0, 1, 1]))


def test_a_row_that_is_surely_of_another_class_leaves_the_score_finite() -> None:
    """Its probability underflows to 0; the logarithm of that would be −∞ for the whole set."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = 1e-3 * random.normal(size=(40, 2)) + 1e3 * y[:, None]
    X[0] = X[-1]
    assert np.isfinite(sfda(X, y))


def test_the_published_version_is_a_mean_probability() -> None:
    X, y = inputs.tall()
    assert 0 < sfda(X, y, compat="sfda") < 1
