"""What holds for every score."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.base.errors import ShapeError, UsageError
from cutpoint.learning.transferability import SCORES
from tests.references import inputs


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    needs_source = SCORES[name].needs == "source_probabilities"
    return inputs.source_probabilities() if needs_source else inputs.tall()


@pytest.mark.parametrize("name", SCORES)
def test_labels_may_have_any_names_and_rows_any_order(name: str) -> None:
    X, y = rows_of(name)
    score = SCORES[name].function
    order = np.random.default_rng(0).permutation(len(X))
    names = np.array([f"class {99 - label}" for label in y])
    if name == "nleep":  # its mixture starts from random rows
        order = np.arange(len(X))
    assert score(X[order], names[order]) == pytest.approx(score(X, y), rel=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_true_labels_score_above_shuffled_ones(name: str) -> None:
    X, y = rows_of(name)
    shuffled = np.random.default_rng(0).permutation(y)
    score = SCORES[name].function
    assert score(X, y) > score(X, shuffled)


@pytest.mark.parametrize("name", sorted(SCORES.keys() - {"nleep"}))  # k-means may start elsewhere
def test_float32_rows_give_nearly_the_same(name: str) -> None:
    X, y = rows_of(name)
    score = SCORES[name].function
    assert score(X.astype(np.float32), y) == pytest.approx(score(X, y), rel=1e-4)


@pytest.mark.parametrize("name", SCORES)
def test_an_unknown_compat_lists_what_exists(name: str) -> None:
    X, y = rows_of(name)
    with pytest.raises(UsageError, match="No published version") as caught:
        SCORES[name].function(X, y, compat="someone")
    for each in SCORES[name].compat:
        assert each in str(caught.value)


@pytest.mark.parametrize("name", SCORES)
def test_what_is_no_score_s_input_is_refused(name: str) -> None:
    X, y = rows_of(name)
    score = SCORES[name].function
    broken = X.copy()
    broken[3, 2] = np.nan
    for rows, labels in ((X[0], y), (X, y[:-1]), (broken, y)):
        with pytest.raises(ShapeError):
            score(rows, labels)
    with pytest.raises(UsageError, match="All 300 labels are equal"):
        score(X, np.zeros(len(X)))
