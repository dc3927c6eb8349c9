"""Head2Toe: the formulae, the order of ties, and that nothing judged is learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import normalize

from cutpoint.base.errors import LeakageError, ShapeError, UsageError
from cutpoint.learning.choosing import (
    ChooseOptions,
    Sweep,
    head2toe,
    head2toe_columns,
    head2toe_recipe,
    judge_head2toe_in_folds,
    rank,
)
from cutpoint.learning.gram import one_hot
from cutpoint.learning.heads import RidgeHead
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.learning.shared.folds import outer_folds
from cutpoint.learning.transforms import GroupLasso
from cutpoint.learning.transforms.proximal import gradient, largest_penalty
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import fill
from tests.unit.learning.choosing.test_ranking import colours

QUICK = Sweep(fractions=(0.005, 0.02, 1.0), penalties=(0.03, 0.01))
WIDTHS = (60, 90, 150)


def taps(n_items: int = 120, n_told: int = 3, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Three taps of noise; the first columns of the second tell three classes apart."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n_items)
    parts = [random.normal(size=(n_items, width)) for width in WIDTHS]
    parts[1][:, :n_told] += random.normal(0, 3, (3, n_told))[y]
    return [part.astype(np.float32) for part in parts], y


def normalised(parts: list[np.ndarray]) -> np.ndarray:
    """scikit-learn's rows of length 1, tap by tap."""
    return np.concatenate([normalize(part) for part in parts], axis=1)


def test_the_columns_are_those_of_the_longest_rows_of_weights() -> None:
    """Reference: Σ_j w_ij² of the group lasso's weights, sorted by numpy."""
    parts, y = taps()
    found = head2toe(parts, y, sweep=Sweep(fractions=(0.02,), penalties=(0.01,)))
    stage = parse_recipe(f"l2 | concat | {found.stage}").after[0]
    weights = GroupLasso(**dict(stage.arguments)).fit(normalised(parts), y).coef_
    order = np.argsort(-(weights**2).sum(axis=1), kind="stable")
    assert found.columns.tolist() == sorted(order[: round(0.02 * 300)])
    assert found.n_of_taps == tuple(
        int(((found.columns >= start) & (found.columns < start + width)).sum())
        for start, width in zip((0, 60, 150), WIDTHS, strict=True)
    )
    assert {60, 61} <= set(found.columns)  # what was planted


def test_what_is_kept_is_normalised_anew_tap_by_tap() -> None:
    parts, y = taps()
    parts[0][0] = 0  # a row of zeros stays zeros
    found = head2toe(parts, y, sweep=Sweep(fractions=(0.02,), penalties=(0.01,)))
    bounds = np.split(np.arange(300), np.cumsum(WIDTHS)[:-1])
    kept = [normalised(parts)[:, np.intersect1d(found.columns, bound)] for bound in bounds]
    reference = np.concatenate([normalize(part) for part in kept if part.shape[1]], axis=1)
    np.testing.assert_allclose(found.transform(parts), reference, rtol=1e-5)
    assert found.transform(parts).dtype == np.float32


def test_equal_scores_are_kept_in_the_order_of_their_places() -> None:
    """The second tap is the first again, so every score comes twice."""
    parts, y = taps()
    found = head2toe(
        [parts[1], parts[1]], y, sweep=Sweep(method="ridge_norm", fractions=(1 / 180,))
    )
    (column,) = found.columns
    assert column < 90
    assert found.n_of_taps == (1, 0)


def test_google_rounds_the_number_of_columns_down() -> None:
    """`int(size * fraction)` in its `_select_fraction`; ours rounds to the nearest."""
    parts, y = taps()
    for compat, n_kept in (("", 5), ("google", 4)):
        sweep = Sweep("ridge_norm", fractions=(0.016,), compat=compat)
        assert len(head2toe(parts, y, sweep=sweep).columns) == n_kept  # 4.8


def test_one_group_a_tap_of_weight_1_leaves_nothing() -> None:
    """Why google's option of that name can't be followed: see `Sweep`."""
    parts, y = taps(n_told=60)
    X, targets = normalised(parts).astype(np.float64), one_hot(y, range(3))
    nothing = np.zeros((301, 3))
    nothing[-1] = np.log(targets.mean(axis=0))
    pulls = np.split(gradient(X, targets, nothing)[:-1], np.cumsum(WIDTHS)[:-1])
    bound = np.sqrt(1 - np.square(targets.mean(axis=0)).sum())
    assert max(np.linalg.norm(pull) for pull in pulls) <= bound < 1


def test_the_largest_penalty_is_where_the_last_column_goes() -> None:
    parts, y = taps()
    X = normalised(parts).astype(np.float64)
    largest = largest_penalty(X, one_hot(y, range(3)))
    assert np.count_nonzero(GroupLasso(1.0, 0.99 * largest).fit(X, y).scores_) == 1
    with pytest.raises(UsageError, match="kept none"):
        GroupLasso(1.0, 1.01 * largest, max_iter=5000, tol=1e-9).fit(X, y)


def test_the_share_kept_is_the_one_of_the_least_leave_one_out_error() -> None:
    """Reference: each share alone, refitted without each row by scikit-learn."""
    parts, y = taps(60)
    alone = [
        head2toe(parts, y, sweep=Sweep("ridge_norm", fractions=(share,)))
        for share in (0.02, 0.1, 1.0)
    ]
    best = head2toe(parts, y, sweep=Sweep("ridge_norm", fractions=(0.02, 0.1, 1.0)))
    assert best.loo_mse == min(each.loo_mse for each in alone)
    assert best.n_tried == 3
    X = best.transform(parts).astype(np.float64)
    head = RidgeHead().fit(X, y)
    assert (best.alpha, best.loo_mse) == pytest.approx((head.alpha_, head.loo_mse_))
    rest = np.arange(60) != 7
    refit = RidgeClassifier(best.alpha, solver="svd").fit(X[rest], y[rest])  # targets ±1
    expected = (refit.decision_function(X[[7]])[0] + 1) / 2
    np.testing.assert_allclose(head.held_out_scores_[7], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["group_lasso", "ridge_norm"])
def test_where_few_features_matter_selection_beats_all_of_them(method: str) -> None:
    parts, y = taps(n_items=100)
    sweep = Sweep(method, QUICK.fractions, QUICK.penalties)
    found = judge_head2toe_in_folds(parts, y, sweep=sweep)
    assert found.accuracy.value > found.plain_accuracy.high
    assert found.comparison.p_value < 0.01
    assert all(method in stage for stage in found.stages)


def test_labels_of_judged_rows_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong labels on the judged rows: the answers stay, so what was right is wrong now."""
    parts, y = taps(200)
    learn, judge = outer_folds(y, None)[0]
    monkeypatch.setattr(head2toe_columns, "outer_folds", lambda truth, groups: [(learn, judge)])
    poisoned = y.copy()
    poisoned[judge] = (y[judge] + 1) % 3
    honest = judge_head2toe_in_folds(parts, y, sweep=QUICK)
    spoiled = judge_head2toe_in_folds(parts, poisoned, sweep=QUICK)
    assert spoiled.stages == honest.stages
    assert honest.accuracy.value * len(y) > 0.9 * len(judge)  # of all rows; others count as wrong
    assert spoiled.accuracy.value * len(y) < 0.1 * len(judge)


def test_permuted_labels_come_out_at_chance_though_leave_one_out_does_not() -> None:
    """Two classes, 300 columns: some of them tell the rows they were selected on, no others."""
    parts, _ = taps(100)
    y = np.random.default_rng(5).permutation(np.arange(100) % 2)
    selected = head2toe(parts, y, sweep=Sweep("ridge_norm", fractions=(0.1,)))
    head = RidgeHead().fit(selected.transform(parts), y)
    optimistic = (head.held_out_scores_.argmax(axis=1) == y).mean()
    folds = judge_head2toe_in_folds(parts, y, sweep=Sweep("ridge_norm", fractions=(0.1,)))
    assert optimistic > 0.75
    assert folds.accuracy.low < 0.5 < folds.accuracy.high + 0.05


def test_rows_of_one_group_are_left_out_together() -> None:
    """Each row five times with a random label: easy alone, chance by group."""
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(30, 80)), random.integers(0, 2, 30)
    parts, y = [np.repeat(rows, 5, axis=0)], np.repeat(labels, 5)
    groups = np.repeat(np.arange(30), 5)
    sweep = Sweep("ridge_norm", fractions=(0.5, 1.0))
    assert judge_head2toe_in_folds(parts, y, sweep=sweep).accuracy.value > 0.9
    assert judge_head2toe_in_folds(parts, y, groups, sweep).accuracy.value < 0.7


@pytest.mark.parametrize("method", ["group_lasso", "ridge_norm"])
def test_the_recipe_keeps_the_same_columns(tmp_path: Path, method: str) -> None:
    spec = FakeBackbone().feature_spec(["conv1", "conv2", "conv3"], ["gap", "gmp"])
    features = fill(tmp_path, colours(), spec=spec).features
    rows = features.rows_of("train")
    sweep = Sweep(method, fractions=(0.1, 0.2), penalties=(0.01,))
    recipe, figures = head2toe_recipe(features, features.taps, rows, sweep=sweep)
    assert recipe == parse_recipe(f"l2 | concat | {figures.selection.stage} | tap_l2")
    assert parse_recipe(str(recipe)) == recipe
    fitted, X = fit_recipe(recipe, features, features.taps, rows)
    parts = [features.X(tap, rows) for tap in features.taps]
    np.testing.assert_array_equal(X, figures.selection.transform(parts))
    assert "5-fold accuracy" in str(figures)
    tests = features.rows_of("test")
    others = [features.X(tap, tests) for tap in features.taps]
    np.testing.assert_allclose(
        fitted.of(features, tests), figures.selection.transform(others), rtol=1e-6
    )
    state, arrays = fitted.to_state()
    np.testing.assert_array_equal(
        type(fitted).from_state(state, arrays).of(features, tests), fitted.of(features, tests)
    )
    assert rank(features, options=ChooseOptions(recipe)).recipe == str(recipe)
    with pytest.raises(LeakageError, match="of the test split"):
        head2toe_recipe(features, features.taps, np.arange(len(features)))


def test_all_columns_need_no_selection(tmp_path: Path) -> None:
    features = fill(tmp_path, colours()).features
    rows = features.rows_of("train")
    recipe, figures = head2toe_recipe(features, features.taps, rows, sweep=Sweep(fractions=(1.0,)))
    assert str(recipe) == "l2 | concat"
    assert recipe.is_stateless
    assert figures.folds.comparison.p_value == 1.0
    assert not figures.is_better


def test_what_can_not_be_done_says_so() -> None:
    with pytest.raises(UsageError, match='method "lasso"'):
        Sweep("lasso")
    with pytest.raises(ShapeError, match=r"\(4, 2, 2\)"):
        head2toe([np.ones((4, 2, 2))], np.arange(4) % 2)
    parts, y = taps()
    with pytest.raises(UsageError, match="no share"):
        head2toe(parts, y, sweep=Sweep(fractions=(0.9,), penalties=(0.9,)))
