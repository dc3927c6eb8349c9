"""Heads of values: what scikit-learn finds, chosen on rows left out, saved, of any scale."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor as TheirMLP
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR
from sklearn.utils.estimator_checks import parametrize_with_checks

from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.learning.gram import Spectrum, alpha_grid
from cutpoint.learning.heads import (
    HEADS_OF,
    KNNRegressor,
    MLPRegressor,
    Regressor,
    RidgeRegressor,
    SVMRegressor,
    head_from_state,
    parse_head,
    spell_head,
)

TYPED = {"mlp": "mlp(hidden=16, max_epochs=40, batch_size=16, learning_rate=0.02)"}
KINDS = list(HEADS_OF["values"])
RANDOM = np.random.default_rng(0)


def rows(n_items: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two values of twelve columns, one a thousand times the other."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_items, 12)).astype(np.float32)
    y = np.stack([X[:, 0] - X[:, 1], 1000 * (X[:, 2] + X[:, 3]) + 5000], axis=1)
    return X, y + random.normal(size=y.shape) * [0.05, 50]


def made(kind: str) -> Regressor:
    head = parse_head(TYPED.get(kind, kind), "values")
    assert isinstance(head, Regressor)
    return head


@pytest.fixture(scope="module")
def diabetes() -> Any:
    """442 patients, ten columns; how far the illness went after a year."""
    X, y = load_diabetes(return_X_y=True)
    return train_test_split(StandardScaler().fit_transform(X), y, random_state=0)


# Few steps, as the checks fit each of them a hundred times.
@parametrize_with_checks(
    [
        RidgeRegressor(),
        KNNRegressor(),
        SVMRegressor(C=[0.1, 10.0]),
        MLPRegressor(16, dropout=0.0, max_epochs=30, batch_size=16, learning_rate=0.03),
    ]
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_values_of_any_scale_and_judges_itself_on_rows_left_out(kind: str) -> None:
    head = made(kind).fit(*rows())
    X, y = rows(seed=1)
    least = 0.3 if kind == "knn" else 0.9  # most columns are noise to a neighbour
    assert head.score(X, y) > least
    assert head.predict(X).shape == y.shape
    judged = np.isfinite(head.held_out_scores_).all(axis=1)
    assert judged.sum() >= 18
    left_out = np.square(head.held_out_scores_ - rows()[1])[judged].mean(axis=0)
    fresh = np.square(head.predict(X) - y).mean(axis=0)
    assert (left_out / fresh < 3).all()
    assert (left_out / fresh > 1 / 3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_again_from_json_and_safetensors(kind: str) -> None:
    X, y = rows()
    head = made(kind).fit(X, y[:, 0])
    fields, arrays = head.to_state()
    again = head_from_state(json.loads(json.dumps(fields)), load(save(arrays)), "values")
    np.testing.assert_array_equal(again.predict(X), head.predict(X))
    assert head.predict(X).shape == (len(X),)
    assert again.chosen == head.chosen
    assert spell_head(again) == spell_head(head)
    assert not hasattr(again, "held_out_scores_")
    with pytest.raises(PredictorError) as caught:
        head_from_state(fields, arrays)
    assert "predicts values, not classes" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_a_row_in_one_group_flatter_no_head(kind: str) -> None:
    """Noise, each row four times: left out together, its copies teach nothing."""
    X = np.repeat(RANDOM.normal(size=(40, 60)), 4, 0)
    y = np.repeat(RANDOM.normal(size=40), 4)
    head = made(kind).fit(X, y, groups=np.repeat(np.arange(40), 4))
    judged = np.isfinite(head.held_out_scores_).all(axis=1)
    errors = np.square(head.held_out_scores_[judged, 0] - y[judged])
    assert errors.mean() > 0.5 * y.var()


@pytest.mark.parametrize("kind", KINDS)
def test_another_unit_of_the_values_changes_nothing_else(kind: str) -> None:
    X, y = rows()
    first = made(kind).fit(X, y[:, 0])
    other = made(kind).fit(X, 1e4 * y[:, 0] - 7)
    assert other.chosen == first.chosen
    np.testing.assert_allclose(other.predict(X), 1e4 * first.predict(X) - 7, rtol=1e-3, atol=5)


def test_ridge_is_scikit_learns_and_so_is_its_choice(diabetes: Any) -> None:
    X, X_new, y, _ = diabetes
    head = RidgeRegressor().fit(X, y)
    grid = alpha_grid(Spectrum(X))
    chosen = RidgeCV(grid).fit(X, y)
    np.testing.assert_allclose(head.alpha_, chosen.alpha_)
    reference = Ridge(head.alpha_).fit(X, y)
    np.testing.assert_allclose(head.predict(X_new), reference.predict(X_new), rtol=1e-8)


def test_ridges_left_out_rows_are_those_of_a_fit_without_them(diabetes: Any) -> None:
    X, _, y, _ = diabetes
    head = RidgeRegressor(alphas=10).fit(X, y)
    for row in (0, 7, 100):
        rest = np.delete(np.arange(len(X)), row)
        one = Ridge(10).fit(X[rest], y[rest]).predict(X[[row]])
        np.testing.assert_allclose(head.held_out_scores_[row], one, rtol=1e-8)


def test_neighbours_are_scikit_learns(diabetes: Any) -> None:
    X, X_new, y, _ = diabetes
    head = KNNRegressor(k=12).fit(X, y)
    reference = KNeighborsRegressor(
        12, metric="cosine", algorithm="brute", weights=lambda d: np.exp(-d / 0.07)
    ).fit(X, y)
    np.testing.assert_allclose(head.predict(X_new), reference.predict(X_new), rtol=1e-10)


def test_the_svm_is_scikit_learns_on_values_of_deviation_1(diabetes: Any) -> None:
    X, X_new, y, _ = diabetes
    head = SVMRegressor(C=0.1).fit(X, y)
    theirs = LinearSVR(
        C=0.1, epsilon=0.1, loss="squared_epsilon_insensitive", dual=False, random_state=0
    ).fit(X, (y - y.mean()) / y.std())
    np.testing.assert_allclose(
        head.predict(X_new), theirs.predict(X_new) * y.std() + y.mean(), rtol=1e-3
    )


def test_the_mlp_does_about_as_well_as_scikit_learns(diabetes: Any) -> None:
    X, X_new, y, y_new = diabetes
    ours = MLPRegressor(64, random_state=0).fit(X, y).score(X_new, y_new)
    theirs = TheirMLP(
        hidden_layer_sizes=64, early_stopping=True, max_iter=2000, random_state=0, alpha=1e-2
    )
    scaled = (y - y.mean()) / y.std()
    reference = theirs.fit(X, scaled).score(X_new, (y_new - y.mean()) / y.std())
    assert ours > reference - 0.05


def test_equal_values_and_heads_of_classes_alone_are_refused() -> None:
    X, y = rows()
    with pytest.raises(UsageError, match="value 1 is the same in all 90 rows"):
        RidgeRegressor().fit(X, np.stack([y[:, 0], np.ones(90)], axis=1))
    with pytest.raises(UsageError, match='the head "logistic" predicts classes, not values'):
        parse_head("logistic", "values")
    with pytest.raises(UsageError, match='nearest: "ridge"'):
        parse_head("rigde", "values")
