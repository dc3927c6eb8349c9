"""Real features without drawn numbers: the rows that published code was run on."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def dead() -> tuple[np.ndarray, np.ndarray]:
    """Return 300 digits, 64 pixels from 0 to 1, some of them zero in every row; 10 classes."""
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


def tall() -> tuple[np.ndarray, np.ndarray]:
    """Return more rows than columns, of full rank: the pixels that are lit in 50 rows or more."""
    X, y = dead()
    return X[:, (X > 0).sum(axis=0) >= 50], y


def uneven() -> tuple[np.ndarray, np.ndarray]:
    """Return the same with two classes, a tenth of the rows in the first."""
    X, y = tall()
    return X, (y > 0).astype(int)


def wide() -> tuple[np.ndarray, np.ndarray]:
    """Return more columns than rows: 416 products of two pixels for 120 rows."""
    X, y = dead()
    first, second = np.triu_indices(X.shape[1])
    return (X[:120, first] * X[:120, second])[:, ::5], y[:120]


def source_probabilities() -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of 10 source classes, by nearness to their means, and 5 other labels."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    means = np.stack([X[300:][y[300:] == label].mean(axis=0) for label in range(10)])
    nearness = np.exp(-((X[:300, None] - means) ** 2).sum(axis=2))
    return nearness / nearness.sum(axis=1, keepdims=True), y[:300] // 2
