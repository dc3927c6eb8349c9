"""The logistic head beside scikit-learn's; its path, folds and temperature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as reference_log_loss

from cutpoint.base.errors import UsageError
from cutpoint.learning.heads import PROTOCOLS, LogisticHead, SVMHead, softmax_regression
from cutpoint.learning.heads.softmax_regression import (
    SoftmaxRegression,
    _conjugate_gradients,
    _Problem,
    _solve,
)
from cutpoint.learning.metrics import log_loss, softmax
from cutpoint.learning.shared.folds import inner_folds


def digits(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Tall, wide (more features than rows, as of a network: random, ReLU), or of two classes."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    if kind == "wide":
        X = np.maximum(X @ np.random.default_rng(0).normal(size=(64, 150)), 0)[:100] / 8
        return X, y[:100] % 4
    return X[:300], y[:300] % 2 if kind == "two" else y[:300]


@pytest.mark.parametrize("kind", ["tall", "wide", "two"])
@pytest.mark.parametrize("C", [0.01, 30.0, 1e3, 1e5, 1e6])
def test_it_is_scikit_learns_at_equal_c(kind: str, C: float) -> None:
    """Reference: `LogisticRegression` by Newton's method to 1e-12, up to the
    largest C of the protocols; coefficients and probabilities to 1e-5 of the largest."""
    X, y = digits(kind)
    solver = {"solver": "newton-cholesky", "tol": 1e-12, "max_iter": 1000}
    reference = LogisticRegression(C=C, **solver).fit(X, y)
    head = LogisticHead(C=C).fit(X, y)
    coef, intercept = head.coef_, head.intercept_
    if kind == "two":  # scikit-learn keeps the difference alone
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    largest = max(1.0, np.abs(coef).max())
    np.testing.assert_allclose(coef, reference.coef_, atol=1e-5 * largest)
    np.testing.assert_allclose(softmax(head.outputs(X)), reference.predict_proba(X), atol=1e-5)


def test_a_warm_start_ends_where_a_cold_one_does() -> None:
    """Weights to 1e-5 of the largest, over the candidates of `dinov2-45`, each from the last."""
    X, y = digits("tall")
    regression = SoftmaxRegression(X, y, 10)
    last = None
    for place, C in enumerate(PROTOCOLS["dinov2-45"].candidates):
        last = regression.fit(C, start=last)
        if place % 11 == 0:
            cold = regression.fit(C).weights
            np.testing.assert_allclose(last.weights, cold, atol=1e-5 * np.abs(cold).max())


def test_a_fit_that_ends_too_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(softmax_regression, "_MAX_STEPS", 2)
    with pytest.warns(ConvergenceWarning, match=r"C=1000 ended with .* more than tol=1e-05"):
        LogisticHead(C=1000).fit(*digits("tall"))


def test_c_goes_on_beyond_the_usual_while_the_loss_falls() -> None:
    """One feature tells the classes apart exactly, so more C is better to the last."""
    x = np.r_[np.linspace(-2, -1, 30), np.linspace(1, 2, 30)][:, None]
    head = LogisticHead().fit(x, x[:, 0] > 0)
    assert len(head.path_) > 13


def test_c_is_the_one_with_the_least_log_loss_out_of_fold() -> None:
    """Each candidate refitted in each fold by scikit-learn; log-losses equal to 1e-4."""
    X, y = digits("wide")
    candidates = [0.01, 0.1, 1.0, 10.0]
    head = LogisticHead(C=candidates[::-1], tol=1e-8).fit(X, y)
    folds = inner_folds(y)
    for C, found in head.path_:
        scores = np.zeros((len(X), 4))
        for learn, judge in folds:
            reference = LogisticRegression(C=C, tol=1e-10, max_iter=10_000)
            scores[judge] = reference.fit(X[learn], y[learn]).decision_function(X[judge])
        assert found == pytest.approx(reference_log_loss(y, softmax(scores)), abs=1e-4)
    assert [C for C, _ in head.path_] == candidates
    assert min(head.path_, key=lambda each: each[1])[0] == head.C_
    assert head.chosen == {"C": head.C_}
    assert log_loss(head.held_out_scores_, y) == pytest.approx(min(loss for _, loss in head.path_))


def test_the_path_is_given_up_where_more_c_only_overfits() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 100)), random.integers(0, 2, 60)  # nothing to learn
    head = LogisticHead().fit(X, y)
    assert 3 <= len(head.path_) < 19
    losses = [loss for _, loss in head.path_]
    assert losses.index(min(losses)) == len(losses) - 3


def test_rotating_the_features_changes_no_probability() -> None:
    X, y = digits("wide")
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(150, 150)))[0]
    plain, turned = (LogisticHead(C=1, tol=1e-9).fit(each, y) for each in (X, X @ turn))
    np.testing.assert_allclose(turned.predict_proba(X @ turn), plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("kind", [LogisticHead, SVMHead])
@pytest.mark.parametrize("C", [0, [], [1, -1], np.inf])
def test_a_c_that_is_not_positive_is_refused(kind: type, C: object) -> None:
    with pytest.raises(UsageError, match="C can't be"):
        kind(C=C).fit(*digits("two"))


def test_a_class_of_one_row_is_learned_and_never_judged() -> None:
    X, y = digits("wide")
    y = y.astype(str)
    y[5] = "rare"
    head = LogisticHead(C=1000).fit(X, y)
    judged = np.isfinite(head.held_out_scores_).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(~judged), [5])
    assert head.predict(X[5:6]) == ["rare"]


def test_folds_judge_each_row_once_keep_groups_and_show_every_class() -> None:
    random = np.random.default_rng(0)
    truth, groups = random.integers(0, 4, 200), random.integers(0, 60, 200)
    folds = inner_folds(truth, groups, seed=3)
    assert len(folds) == 5
    assert sorted(np.concatenate([judge for _, judge in folds])) == list(range(200))
    for learn, judge in folds:
        assert not set(groups[learn]) & set(groups[judge])
        assert set(truth[learn]) == set(range(4))
    again = inner_folds(truth, groups, seed=3)
    np.testing.assert_array_equal(folds[2][1], again[2][1])


@pytest.mark.parametrize(
    ("truth", "groups", "judged"),
    [
        ([0, 0, 1], None, [0, 1]),
        ([0, 1], None, []),
        # class 1 is in one group alone, which takes its rows of class 0 out of judgement too
        ([0, 0, 0, 0, 1, 0], [1, 1, 2, 3, 4, 4], [0, 1, 2, 3]),
        # without that group class 0 is in one group alone as well
        ([0, 0, 1, 0], [1, 1, 2, 2], []),
    ],
)
def test_what_would_leave_a_class_unlearned_is_not_judged(
    truth: list[int], groups: list[int] | None, judged: list[int]
) -> None:
    found = inner_folds(np.array(truth), None if groups is None else np.array(groups))
    assert sorted(row for _, judge in found for row in judge) == judged


def three_classes() -> _Problem:
    random = np.random.default_rng(0)
    scales = np.array([3.0, 1.0, 0.3, 0.1])  # axes of unlike spread, as of real rows
    return _Problem(random.normal(size=(90, 4)) * scales, np.arange(90) % 3, penalty=0.01)


def test_the_diagonal_is_that_of_the_curvature() -> None:
    problem = three_classes()
    both = np.random.default_rng(1).normal(size=(3, 5))
    shares, _ = problem.shares_and_gradient(both)
    units = np.eye(15).reshape(15, 3, 5)
    curvature = np.array([problem.curvature(shares, unit).ravel() for unit in units])
    np.testing.assert_allclose(curvature, curvature.T, atol=1e-12)
    np.testing.assert_allclose(problem.diagonal(shares).ravel(), curvature.diagonal(), rtol=1e-9)


@pytest.mark.parametrize(("beside", "at_most"), [(1e-4, 4), (10.0, 9)])
def test_conjugate_gradients_need_few_products(beside: float, at_most: int) -> None:
    """Reference: `numpy.linalg.solve`. In exact arithmetic there are as many products as unknowns,
    6; fewer where the diagonal is nearly all there is."""
    right = np.random.default_rng(0).normal(size=6)
    matrix = np.diag(10.0 ** np.arange(-3, 3)) + beside * np.outer(right, right)
    asked: list[np.ndarray] = []

    def times(x: np.ndarray) -> np.ndarray:
        asked.append(x)
        return np.asarray(matrix @ x)

    found = _conjugate_gradients(times, right, matrix.diagonal(), 1e-9)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-6)
    assert len(asked) <= at_most


def test_whole_steps_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near a solution Newton's own step is the best: the gradient is asked for once for each."""
    lengths: list[float] = []
    own = _Problem.shares_and_gradient

    def counted(self: _Problem, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares, gradient = own(self, both)
        lengths.append(float(np.linalg.norm(gradient)))
        return shares, gradient

    monkeypatch.setattr(_Problem, "shares_and_gradient", counted)
    problem = three_classes()
    _solve(problem, np.zeros((3, 5)), 1e-8)
    assert lengths == sorted(lengths, reverse=True)  # none was thrown away


def test_a_rough_fit_ends_where_the_exact_one_does_to_its_tolerance() -> None:
    """L-BFGS goes ahead; what it can't reach Newton's steps do, so no warning is given."""
    random = np.random.default_rng(0)
    y = np.arange(240) % 12
    X = random.normal(size=(240, 30)) + 2 * random.normal(size=(12, 30))[y]
    for C in (0.1, 10.0, 1000.0):
        exact, rough = (LogisticHead(C, tol=tol).fit(X, y) for tol in (1e-6, 1e-2))
        gap = np.linalg.norm(rough.coef_ - exact.coef_) / np.linalg.norm(exact.coef_)
        assert 0 < gap < 2e-2
        np.testing.assert_array_equal(rough.predict(X), exact.predict(X))
