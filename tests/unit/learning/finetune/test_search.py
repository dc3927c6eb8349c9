"""What is taken of what was tried."""

from __future__ import annotations

import numpy as np
import pytest

from cutpoint.learning.finetune import Plan, Setting, between, folds_for, order_of
from cutpoint.learning.finetune.search import START, _chosen

TRUTH = np.arange(60) % 2
JUDGE = np.arange(60)
ALONE = np.zeros(60, int)  # one fold: nothing to calibrate by


def scores(right: float, seed: int = 0, noise: float = 0.0) -> np.ndarray:
    """Return log-odds for the truth, with noise."""
    random = np.random.default_rng(seed)
    odds = right + noise * random.normal(size=60)
    return np.stack([np.where(TRUTH == 0, odds, 0), np.where(TRUTH == 1, odds, 0)], axis=1)


def taken(candidates: dict[Setting, np.ndarray], settled: Setting | None = None) -> Setting:
    found = _chosen(candidates, JUDGE, TRUTH, "classes", None, ALONE, (), settled)
    return found.taken.setting


def test_the_smallest_change_within_one_standard_error_is_taken() -> None:
    near, far = Setting(1e-4, 2, 0.5), Setting(3e-4, 6, 1.0)
    clear = {START: scores(0.0), near: scores(2.0), far: scores(2.02, 1, 0.5)}
    assert taken(clear) == near
    assert taken({**clear, far: scores(4.0)}) == far
    assert taken({**clear, START: scores(2.0)}) == START


def test_ties_stay_frozen() -> None:
    same = {START: scores(1.0), Setting(1e-4, 1, 0.25): scores(1.0)}
    assert taken(same) == START


def test_what_was_settled_is_taken_whatever_rows_say() -> None:
    bad = Setting(1e-1, 3, 1.0)
    assert taken({START: scores(2.0), bad: scores(-2.0)}, bad) == bad
    assert taken({START: scores(2.0)}, bad) == START  # it could not be run to its end


def test_rows_of_one_group_count_as_one() -> None:
    groups = np.repeat(np.arange(6), 10)
    better = scores(0.0)
    better[groups == 0] *= 0
    better[groups == 0, 0] = np.where(TRUTH[groups == 0] == 0, 3, -3)
    found = {START: scores(0.0), Setting(1e-4, 1, 1.0): better}
    alone = _chosen(found, JUDGE, TRUTH, "classes", None, ALONE, (), None)
    grouped = _chosen(found, JUDGE, TRUTH, "classes", groups, ALONE, (), None)
    assert alone.taken.setting != START
    assert grouped.start.error > alone.start.error


def test_what_is_only_too_sure_is_no_worse() -> None:
    """Each fold's temperature comes from the others, as what is taken is calibrated in the end."""
    folds = np.arange(60) // 2 % 5
    right = scores(1.0, noise=1.5)
    sure = Setting(1e-4, 1, 1.0)
    found = _chosen(
        {START: right, sure: right * 50}, JUDGE, TRUTH, "classes", None, folds, (), None
    )
    assert found.n_folds == 5
    assert found.best.loss == pytest.approx(found.start.loss, rel=1e-3)
    raw = _chosen({START: right, sure: right * 50}, JUDGE, TRUTH, "classes", None, ALONE, (), None)
    assert raw.start.loss < 1 < max(each.loss for each in raw.by_rate)


def test_the_way_back_to_the_start_is_straight() -> None:
    start, end = {"w": np.zeros(3, np.float32)}, {"w": np.ones(3, np.float32)}
    np.testing.assert_array_equal(between(start, end, 0)["w"], start["w"])
    np.testing.assert_array_equal(between(start, end, 0.25)["w"], np.float32(0.25))
    np.testing.assert_array_equal(between(start, end, 1)["w"], end["w"])


def test_the_order_of_an_epoch_follows_from_seed_and_epoch_alone() -> None:
    plan = Plan(1e-3, 10, seed=3)
    order, views = order_of(plan, 7, 20, 4)
    np.random.seed(1)
    again = order_of(plan, 7, 20, 4)
    np.testing.assert_array_equal(order, again[0])
    np.testing.assert_array_equal(views, again[1])
    assert sorted(order) == list(range(20))
    assert set(views) <= {0, 1, 2, 3}
    assert (order_of(plan, 8, 20, 4)[0] != order).any()


def test_the_rate_rises_over_a_tenth_and_falls_to_nothing() -> None:
    rates = [Plan(2.0, 1).rate_at(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0
    assert rates[-1] < 0.001
    assert (np.diff(rates[10:]) < 0).all()


def test_many_rows_are_judged_by_two_fifths_few_by_five_folds() -> None:
    few, many = np.arange(100) % 2, np.arange(800) % 2
    assert len(folds_for("classes", few, None, 0)) == 5
    found = folds_for("classes", many, None, 0)
    assert len(found) == 2
    assert all(len(judge) == 160 and len(learn) == 640 for learn, judge in found)
