from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import (
    RFE,
    SelectKBest,
    VarianceThreshold,
    f_classif,
    mutual_info_classif,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from cutpoint.base.errors import UsageError
from cutpoint.learning.gram import one_hot
from cutpoint.learning.transforms import (
    L2,
    FTestSelect,
    GroupLasso,
    L1Select,
    LearnedMask,
    MutualInfoSelect,
    RecursiveSelect,
    VarianceSelect,
    feature_names,
)
from cutpoint.learning.transforms.proximal import group_lasso
from cutpoint.learning.transforms.select import connectivity, n_to_keep, top


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Real handwritten digits; columns that never vary left out, as `SelectKBest` ranks them."""
    X, y = load_digits(return_X_y=True)
    return X[:500, X[:500].std(axis=0) > 0.1], y[:500]


def planted(n_rows: int = 200, n_noise: int = 45) -> tuple[np.ndarray, np.ndarray]:
    """The first five columns tell the class, the others nothing."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, n_rows)
    told = np.eye(3)[y] @ random.normal(0, 2, (3, 5)) + random.normal(size=(n_rows, 5))
    return np.hstack([told, random.normal(size=(n_rows, n_noise))]), y


def test_ties_go_to_the_first_column() -> None:
    scores = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    assert np.flatnonzero(top(scores, 3)).tolist() == [0, 1, 3]
    assert np.flatnonzero(top(scores, 0.2)).tolist() == [1]


def test_keep_is_a_count_or_a_share() -> None:
    assert [n_to_keep(keep, 50) for keep in (1, 50, 1.0, 0.01, 0.001, 0.29)] == [
        1,
        50,
        50,
        1,
        1,
        14,
    ]
    with pytest.warns(UserWarning, match="keep=60 is more than the 50 columns there are"):
        assert n_to_keep(60, 50) == 50
    for wrong in (0, -1, 0.0, 1.5):
        with pytest.raises(UsageError, match=f"keep={wrong}"):
            n_to_keep(wrong, 50)


def test_the_f_test_keeps_what_scikit_learn_keeps() -> None:
    X, y = digits()
    reference = SelectKBest(f_classif, k=20).fit(X, y)
    found = FTestSelect(20).fit(X, y)
    np.testing.assert_allclose(found.scores_, reference.scores_, rtol=1e-6)
    np.testing.assert_array_equal(found.get_support(), reference.get_support())


def test_mutual_information_keeps_what_scikit_learn_keeps() -> None:
    X, y = digits()
    scores = mutual_info_classif(X, y, random_state=0, discrete_features=False)
    found = MutualInfoSelect(20).fit(X, y)
    np.testing.assert_allclose(found.scores_, scores, atol=1e-6)
    np.testing.assert_array_equal(found.get_support(), scores >= np.sort(scores)[-20])


def test_variance_keeps_what_scikit_learn_keeps() -> None:
    X, _ = digits()
    found = VarianceSelect(20).fit(X)
    threshold = np.sort(found.scores_)[[-21, -20]].mean()
    reference = VarianceThreshold(threshold).fit(X)
    np.testing.assert_allclose(found.scores_, reference.variances_, rtol=1e-6)
    np.testing.assert_array_equal(found.transform(X), reference.transform(X))


@pytest.mark.parametrize("threshold", [0.0, 0.01, 5.0, 30.0])
def test_a_threshold_of_variance_is_scikit_learns(threshold: float) -> None:
    X, _ = digits()
    X[:, 3] = 7.0
    reference = VarianceThreshold(threshold).fit(X)
    found = VarianceSelect(threshold=threshold).fit(X)
    np.testing.assert_array_equal(found.get_support(), reference.get_support())
    np.testing.assert_array_equal(found.transform(X), reference.transform(X))


def test_a_threshold_and_a_number_both_hold_and_one_above_all_is_refused() -> None:
    X, _ = digits()
    both = VarianceSelect(5, threshold=30.0).fit(X)
    assert both.get_support().sum() == 5
    assert VarianceSelect(50, threshold=30.0).fit(X).get_support().sum() < 50
    half = VarianceSelect().fit(X).get_support()
    np.testing.assert_array_equal(half, VarianceSelect(0.5).fit(X).get_support())
    with pytest.raises(UsageError, match="No column varies by more than the threshold 1e"):
        VarianceSelect(threshold=1e6).fit(X)


def test_recursive_elimination_is_scikit_learns() -> None:
    X, y = digits()
    reference = RFE(RidgeClassifier(1.0), n_features_to_select=12, step=0.1).fit(X, y)
    found = RecursiveSelect(12).fit(X, y)
    np.testing.assert_array_equal(found.get_support(), reference.get_support())
    np.testing.assert_array_equal(-found.scores_, reference.ranking_)


@pytest.mark.parametrize("C", [0.05, 0.5])
def test_l1_scores_columns_as_scikit_learns_multinomial_regression(C: float) -> None:
    """Reference: its solver saga at 1e-7. Scores to 1e-3 of the largest, the same columns."""
    X, y = digits()
    X = X / 16
    reference = LogisticRegression(C=C, solver="saga", tol=1e-7, max_iter=20000, **l1())
    scores = np.abs(reference.fit(X, y).coef_).sum(axis=0)
    found = L1Select(C=C).fit(X, y)
    np.testing.assert_allclose(found.scores_, scores, atol=1e-3 * scores.max())
    np.testing.assert_array_equal(found.get_support(), scores > 0)
    assert 0 < found.get_support().sum() < X.shape[1]
    few = L1Select(C=C, keep=5).fit(X, y).get_support()
    assert set(np.flatnonzero(few)) == set(np.argsort(-scores)[:5])
    np.testing.assert_array_equal(L1Select(C=C, random_state=9).fit(X, y).scores_, found.scores_)


def test_l1_of_two_classes_is_the_one_weight_a_column_has() -> None:
    """Reference: scikit-learn's binary regression, saga at 1e-7; 1e-3 of the largest."""
    X, y = digits()
    X, y = X[y < 2] / 16, y[y < 2]
    reference = LogisticRegression(C=0.5, solver="saga", tol=1e-7, max_iter=20000, **l1())
    scores = np.abs(reference.fit(X, y).coef_[0])
    np.testing.assert_allclose(L1Select(C=0.5).fit(X, y).scores_, scores, atol=1e-3 * scores.max())


def test_l1_that_does_not_settle_says_so() -> None:
    X, y = digits()
    with pytest.warns(ConvergenceWarning, match="did not settle in 3 steps"):
        L1Select(C=10.0, max_iter=3).fit(X, y)


def l1() -> dict[str, object]:
    """How scikit-learn spells the penalty: 1.8 renamed it."""
    is_new = LogisticRegression().get_params().get("penalty") == "deprecated"
    return {"l1_ratio": 1.0} if is_new else {"penalty": "l1"}


def objective(weights: np.ndarray, X: np.ndarray, targets: np.ndarray, penalty: float) -> float:
    scores = X @ weights[:-1] + weights[-1]
    scores = scores - scores.max(axis=1, keepdims=True)
    log_likelihood = (scores * targets).sum(1) - np.log(np.exp(scores).sum(1))
    return float(-log_likelihood.mean() + penalty * np.sqrt((weights[:-1] ** 2).sum(1)).sum())


def plain_proximal(X: np.ndarray, targets: np.ndarray, penalty: float, steps: int) -> np.ndarray:
    """The definition, row by row, without acceleration."""
    n_items = len(X)
    weights = np.zeros((X.shape[1] + 1, targets.shape[1]))
    with_one = np.hstack([X, np.ones((n_items, 1))])
    step = 2 * n_items / np.linalg.norm(with_one, 2) ** 2
    for _ in range(steps):
        scores = np.exp(with_one @ weights)
        weights = (
            weights
            - step * with_one.T @ (scores / scores.sum(1, keepdims=True) - targets) / n_items
        )
        for i in range(X.shape[1]):
            length = np.sqrt((weights[i] ** 2).sum())
            weights[i] = weights[i] * max(0.0, 1 - step * penalty / length) if length else 0.0
    return weights


def test_group_lasso_is_the_plain_proximal_loop() -> None:
    """Weights to 1e-6, the same rows exactly zero."""
    X, y = planted(80, 10)
    X = X - X.mean(axis=0)  # or the plain loop needs 60,000 steps
    targets = one_hot(y, range(3))
    expected = plain_proximal(X, targets, 0.1, 6000)
    weights, intercept, _ = group_lasso(X, targets, 0.1, 0.0, (15,), 20_000, 1e-13)
    np.testing.assert_allclose(weights, expected[:-1], atol=1e-6)
    np.testing.assert_allclose(intercept, expected[-1], atol=1e-6)
    is_zero = ~expected[:-1].any(axis=1)
    np.testing.assert_array_equal(~weights.any(axis=1), is_zero)
    assert 0 < is_zero.sum() < 15


def test_no_general_minimiser_finds_a_lower_group_lasso() -> None:
    """Reference: SciPy's L-BFGS-B from our solution and from zero."""
    X, y = planted(60, 5)
    targets = one_hot(y, range(3))
    weights, intercept, _ = group_lasso(X, targets, 0.02, 0.0, (10,), 5000, 1e-10)
    ours = objective(np.vstack([weights, intercept]), X, targets, 0.02)
    for start in (np.vstack([weights, intercept]), np.full((11, 3), 1e-3)):
        other = minimize(lambda w: objective(w.reshape(11, 3), X, targets, 0.02), start.ravel())
        assert ours <= other.fun + 1e-6


def test_a_tap_penalty_drops_whole_taps() -> None:
    X, y = planted(200, 15)
    fitted = GroupLasso(keep=1.0, penalty=0.0, tap_penalty=0.08, blocks=(5, 5, 10)).fit(X, y)
    assert fitted.tap_scores_[0] > 0
    assert fitted.tap_scores_[1:].tolist() == [0, 0]


def test_scores_are_head2toes_and_taps_are_counted() -> None:
    X, y = planted()
    X = L2(blocks=(25, 25)).fit_transform(X)
    fitted = GroupLasso(keep=0.1, penalty=1e-3, blocks=(25, 25)).fit(X, y)
    by_hand = [sum(w * w for w in row) for row in fitted.coef_]
    np.testing.assert_allclose(fitted.scores_, by_hand, rtol=1e-12)
    np.testing.assert_array_equal(connectivity(fitted.coef_), fitted.scores_)
    order = sorted(range(50), key=lambda i: (-by_hand[i], i))[:5]
    assert np.flatnonzero(fitted.get_support()).tolist() == sorted(order)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert fitted.kept_blocks_.tolist() == [5, 0]
    renormalised = L2(blocks=(5,)).fit_transform(fitted.transform(X))
    np.testing.assert_allclose(np.linalg.norm(renormalised, axis=1), 1)


def test_a_learned_mask_keeps_what_tells_and_drops_most_noise() -> None:
    X, y = planted(400)
    kept = LearnedMask().fit(X, y).get_support()
    assert kept[:5].sum() >= 4
    assert kept[5:].mean() < 0.2


def test_a_soft_mask_weighs_every_column_and_drops_none() -> None:
    X, y = planted()
    soft = LearnedMask(penalty=0.1, soft=True).fit(X, y)
    weighed = soft.transform(X)
    np.testing.assert_allclose(weighed, X * soft.scores_, rtol=1e-12)
    assert ((soft.scores_ > 0) & (soft.scores_ < 1)).all()
    assert soft.scores_[:5].min() > soft.scores_[5:].mean()  # what tells weighs more than noise
    np.testing.assert_allclose(soft.inverse_transform(weighed), X, rtol=1e-12)
    hard = LearnedMask(penalty=0.1).fit(X, y)
    assert hard.transform(X).shape[1] < X.shape[1]
    # Its temperature stays at 1: less decided than the hardened one.
    assert np.median(np.abs(soft.scores_ - 0.5)) < np.median(np.abs(hard.scores_ - 0.5))


def test_a_soft_mask_has_no_threshold() -> None:
    with pytest.raises(UsageError, match="threshold can't be used with a soft mask"):
        LearnedMask(0.3, soft=True).fit(*planted())


def test_the_mask_keeps_more_at_a_lower_threshold() -> None:
    X, y = planted(400)
    masks = [LearnedMask(threshold=t).fit(X, y) for t in (0.001, 0.5, 0.999)]
    n_kept = [mask.get_support().sum() for mask in masks]
    assert n_kept[0] >= n_kept[1] >= n_kept[2] > 0
    for mask in masks:
        np.testing.assert_array_equal(mask.get_support(), mask.scores_ > mask.threshold)


@pytest.mark.parametrize(
    "selector", [L1Select(C=1e-6), GroupLasso(penalty=1e3), LearnedMask(penalty=1e3)]
)
def test_a_penalty_that_leaves_nothing_says_what_to_type(selector: L1Select) -> None:
    X, y = planted(50, 5)
    with pytest.raises(UsageError, match=r"kept none of 10 columns(.|\n)*Type, for example"):
        selector.fit(X, y)


SUPERVISED = [
    FTestSelect(), MutualInfoSelect(), RecursiveSelect(), L1Select(), LearnedMask(), GroupLasso()
]  # fmt: skip


@pytest.mark.parametrize("selector", SUPERVISED, ids=lambda s: s.kind)
def test_one_class_is_refused(selector: FTestSelect) -> None:
    with pytest.raises(UsageError, match="All 5 rows are of 1 class"):
        selector.fit(np.eye(5), np.zeros(5, int))


def test_constant_columns_score_nothing_and_all_constant_is_refused() -> None:
    X, y = planted(60, 5)
    X[:, [0, 7]] = 3.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FTestSelect(1.0).fit(X, y).scores_[[0, 7]].tolist() == [0, 0]
        assert not VarianceSelect(1.0).fit(X).get_support()[[0, 7]].any()
    for selector in (FTestSelect(), VarianceSelect()):
        with pytest.raises(UsageError, match="all 4 columns are constant"):
            selector.fit(np.ones((6, 4)), [0, 1] * 3)


def test_what_is_kept_keeps_its_name() -> None:
    X, y = planted(100, 3)
    names = feature_names({"blocks.3/gap": 5, "blocks.6/gem": 3})
    kept = FTestSelect(3).fit(X, y)
    expected = names[kept.get_support()].tolist()
    assert kept.get_feature_names_out(names).tolist() == expected
    assert set(expected) <= {f"blocks.3/gap[{i}]" for i in range(5)}
