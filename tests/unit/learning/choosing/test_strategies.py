from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.features.store import Features
from cutpoint.features.store import features as features_module
from cutpoint.features.store.checked import CheckedShard
from cutpoint.items.reading import Dataset
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.learning.choosing import ChooseOptions, look_back, rank, strategies
from cutpoint.learning.choosing.judge_taps import fit_and_score, judge_set
from cutpoint.learning.choosing.ranking_task import Task, permuted
from cutpoint.learning.choosing.strategies import judge_all
from cutpoint.learning.gram import one_hot
from cutpoint.learning.recipe import Recipe, fit_recipe, parse_recipe
from tests.conftest import noisy_image
from tests.unit.features.store.helpers import fill
from tests.unit.learning.choosing.test_ranking import colours

QUIET = Reporter(quiet=True)


def with_labels(dataset: Dataset, labels: list[str]) -> Dataset:
    pairs = zip(dataset.items, labels, strict=True)
    return dataset.with_items(tuple(type(i)(**{**vars(i), "label": y}) for i, y in pairs))


def brightness(n_items: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy grey images and how bright each is meant to be."""
    random = np.random.default_rng(0)
    values = random.uniform(20, 200, n_items)
    pixels = values[:, None, None, None] + random.normal(0, 20, (n_items, 16, 16, 3))
    return pixels.clip(0, 255).astype(np.uint8), values


def loo_of(features: Features, taps: list[str], Y: np.ndarray, alpha: float) -> np.ndarray:
    """Return the squared errors of scikit-learn's leave-one-out, taps scaled to mean square 1.

    Class frequencies are held, as in `with_priors`.
    """
    rows = features.rows_of("train")
    parts = [features.X(tap, rows).astype(np.float64) for tap in taps]
    scaled = [part / np.sqrt(part.var(axis=0).sum()) for part in parts]
    reference = RidgeCV([alpha], store_cv_results=True, scoring="neg_mean_squared_error")
    reference.fit(np.concatenate(scaled, axis=1), Y)
    left_out = reference.cv_results_[..., 0]
    rest = (Y.sum(axis=0) - Y) / (len(Y) - 1)
    errors: np.ndarray = np.square(left_out - rest + Y.mean(axis=0) - Y)
    return errors


def test_fused_taps_have_scikit_learns_leave_one_out_error(tmp_path: Path) -> None:
    features = fill(tmp_path, colours()).features
    ranking = rank(features, options=ChooseOptions(strategies=("fused",)))
    rows = features.rows_of("train")
    truth = np.unique(features.labels[rows].astype(str), return_inverse=True)[1]
    for each in ranking.candidates:
        errors = loo_of(features, list(each.taps), one_hot(truth, range(3)), each.alpha)
        # The features are float32.
        assert each.error == pytest.approx(errors.mean(), rel=1e-4)
        assert each.strategy == "fused"
        assert each.recipe == "concat | fuse"
    # gap of two layers, gmp of two layers, all four
    assert sorted(len(each.taps) for each in ranking.candidates) == [2, 2, 4]


def test_greedy_errs_least_on_the_rows_that_chose_it(tmp_path: Path) -> None:
    task = Task.of(fill(tmp_path, colours()).features, ChooseOptions(strategies=("greedy",)))
    greedy = judge_all(task, QUIET).candidates
    alone = min(judge_set(task, (tap,), Recipe()).error for tap in task.taps)
    again = [judge_set(task, each.taps, Recipe().fused()) for each in greedy]
    assert min(each.error for each in again) <= alone * 1.02  # priors held or not
    assert all(each.n_folds == 5 for each in greedy)
    assert all(each.n_tried > 1 for each in greedy)


@pytest.mark.parametrize("strategy", ["greedy", "weighted", "ridge_norm"])
def test_what_chooses_finds_nothing_in_noise(tmp_path: Path, strategy: str) -> None:
    """Judged on the rows that chose, twelve columns of noise would look like signal."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (80, 16, 16, 3)).astype(np.uint8)
    data = read_arrays(pixels, [f"c{row % 2}" for row in range(80)], None, ["train"] * 80)
    features = fill(tmp_path, data).features
    scores = [
        each.score.value
        for seed in range(3)
        for each in rank(
            permuted(features, seed), options=ChooseOptions(strategies=(strategy,))
        ).candidates
    ]
    # Three seeds of three candidates; one figure's standard error is .056.
    assert np.mean(scores) < 0.5 + 0.056


def test_a_fused_candidate_can_be_fitted_from_its_recipe(tmp_path: Path) -> None:
    features = fill(tmp_path, colours()).features
    for each in rank(features, options=ChooseOptions(strategies=("weighted",))).candidates:
        rows = features.rows_of("train")
        fitted, X = fit_recipe(parse_recipe(each.recipe), features, each.taps, rows)
        assert X.shape == (len(rows), each.width)
        np.testing.assert_array_equal(fitted.of(features, rows, training=True), X)


def test_values_are_judged_by_r2_of_rows_left_out(tmp_path: Path) -> None:
    """Reference: scikit-learn's `RidgeCV` errors at the λ that was chosen."""
    pixels, values = brightness()
    data = read_arrays(pixels, [f"{value:.6f}" for value in values], None, ["train"] * len(pixels))
    features = fill(tmp_path, data).features
    single = ChooseOptions(strategies=("single",), kind="values")
    for each in rank(features, options=single).candidates:
        X = features.X(each.taps[0]).astype(np.float64)
        Y = np.array([float(f"{value:.6f}") for value in values])
        reference = RidgeCV([each.alpha], store_cv_results=True).fit(X, Y)
        errors = reference.cv_results_[..., 0].ravel()
        assert each.score.value == pytest.approx(1 - errors.mean() / Y.var(), abs=1e-4)
        assert each.score.low < each.score.value < each.score.high


def test_several_labels_an_item_are_read_from_one_text(tmp_path: Path) -> None:
    pixels, values = brightness()
    texts = [
        f"{'bright' if v > 110 else 'dark'};{'odd' if n % 2 else ''}" for n, v in enumerate(values)
    ]
    data = read_arrays(pixels, texts, None, ["train"] * len(pixels))
    features = fill(tmp_path, data).features
    options = ChooseOptions(strategies=("single",), kind="labels")
    task = Task.of(features, options)
    assert task.targets.names == ("bright", "dark", "odd")
    best = rank(features, options=options).best
    # Bright and dark can be told, odd can't: two thirds and half of a third.
    assert 0.7 < best.score.value < 0.95


def test_wrong_kinds_are_refused(tmp_path: Path) -> None:
    features = fill(tmp_path, colours()).features
    with pytest.raises(DataError, match="Not all labels of"):
        rank(features, options=ChooseOptions(kind="values"))
    with pytest.raises(UsageError, match="Kinds: auto, classes, labels, values"):
        rank(features, options=ChooseOptions(kind="numbers"))
    with pytest.raises(UsageError, match="Strategies: single, fused"):
        rank(features, options=ChooseOptions(strategies=("best",)))
    supervised = ChooseOptions(parse_recipe("f_test(2)"), kind="values")
    with pytest.raises(UsageError, match="f_test learns from classes"):
        rank(features, options=supervised)


def test_balanced_rows_are_scikit_learns_weighted_ridge(tmp_path: Path) -> None:
    """Reference: `Ridge` with the weights, refitted without each row; frequencies held."""
    random = np.random.default_rng(0)
    labels = ["c0" if random.random() < 0.8 else "c1" for _ in range(40)]
    pixels = np.stack([noisy_image(int(y[1]), n, side=16) for n, y in enumerate(labels)])
    data = read_arrays(pixels, labels, None, ["train"] * 40)
    features = fill(tmp_path, data).features
    options = ChooseOptions(strategies=("single",), balanced=True)
    task = Task.of(features, options)
    weights, Y = task.row_weights, task.targets.Y
    np.testing.assert_allclose(np.bincount(task.targets.truth, weights), 20)
    for each in rank(features, options=options).candidates:
        X = features.X(each.taps[0]).astype(np.float64)
        errors = np.zeros(40)
        for row in range(40):
            rest = np.arange(40) != row
            head = Ridge(each.alpha, solver="svd").fit(X[rest], Y[rest], weights[rest])
            shift = np.average(Y, 0, weights) - np.average(Y[rest], 0, weights[rest])
            errors[row] = np.square(head.predict(X[[row]])[0] + shift - Y[row]).mean()
        assert each.error == pytest.approx((errors * weights).mean(), rel=1e-4)


def test_the_whole_choice_is_at_chance_on_shuffled_labels(tmp_path: Path) -> None:
    """Twelve seeds of 120 rows; chance is a third, three standard errors of their mean are .04."""
    features = fill(tmp_path, colours(150)).features
    found = [rank(features, options=ChooseOptions(permute=seed)) for seed in range(12)]
    assert all(each.is_permuted for each in found)
    nested = np.mean([each.nested.value for each in found if each.nested])
    flat = np.mean([each.best.score.value for each in found])
    assert abs(nested - 1 / 3) < 3 * np.sqrt(2 / 9 / 120 / 12) + 0.02
    assert flat > nested  # the best of many is the luckiest of them
    assert "shuffled" in found[0].verdict()


def test_choosing_anew_sees_no_row_it_judges(tmp_path: Path) -> None:
    """What is chosen and fitted without a fold stays as it is, whatever labels the fold has."""
    dataset = colours(90)
    features = fill(tmp_path / "right", dataset).features
    task = Task.of(features, ChooseOptions())
    learn, others = task.folds[0]
    keys = {features.keys[row] for row in task.rows[others]}
    wrong = [
        ("c1" if item.label == "c0" else "c0") if item.key in keys else str(item.label)
        for item in dataset.items
    ]
    spoiled = Task.of(fill(tmp_path / "wrong", with_labels(dataset, wrong)).features, task.options)
    one, two = judge_all(task.part(learn), QUIET), judge_all(spoiled.part(learn), QUIET)
    assert one == two
    recipe = parse_recipe(one.taken.recipe)
    found = [fit_and_score(each, learn, others, one.taken.taps, recipe) for each in (task, spoiled)]
    np.testing.assert_array_equal(found[0].scores, found[1].scores)


def test_looking_back_compares_what_was_taken_with_the_oracle(tmp_path: Path) -> None:
    features = fill(tmp_path, colours(90)).features
    task = Task.of(features, ChooseOptions())
    ranking = rank(features)
    found = look_back(task, ranking, features.rows_of("test"), "test")
    by_name = {each.name: each for each in found.comparisons}
    assert set(by_name) == {"last tap", "least error on training rows", "oracle"}
    oracle = by_name["oracle"]
    assert oracle.score.value >= found.taken.value > 0.9  # three colours
    assert oracle.p is None
    assert oracle.gain.value == pytest.approx(found.taken.value - oracle.score.value)
    assert max(map(len, found.lines())) <= 100


def rows_of(tmp_path: Path, labels: list[str], groups: list[str] | None = None) -> Features:
    pixels = np.stack([noisy_image(n % 3, n, side=16) for n in range(len(labels))])
    return fill(tmp_path, read_arrays(pixels, labels, groups, ["train"] * len(labels))).features


def test_a_class_of_one_row_does_not_stop_the_nested_choice(tmp_path: Path) -> None:
    labels = [f"c{n % 2}" for n in range(30)] + ["alone"]
    assert rank(rows_of(tmp_path, labels), options=ChooseOptions(nested=True)).nested is not None


def test_fewer_groups_than_folds_make_fewer_folds(tmp_path: Path) -> None:
    labels, groups = [f"c{n % 2}" for n in range(30)], [f"g{n % 3}" for n in range(30)]
    features = rows_of(tmp_path, labels, groups)
    learning = ChooseOptions(parse_recipe("pca(2)"))
    assert rank(features, options=learning).n_folds == 3
    with pytest.raises(UsageError, match="Two groups or more"):
        rank(features, options=ChooseOptions(learning.recipe, nested=True))


def test_strategies_that_can_not_serve_are_refused(tmp_path: Path) -> None:
    features = rows_of(tmp_path, [str(n) for n in range(30)])
    values = ChooseOptions(kind="values", strategies=("head2toe",))
    with pytest.raises(UsageError, match="need classes"):
        rank(features, options=values)
    one = ChooseOptions(kind="values", strategies=("fused",), taps=("conv3/gap",))
    with pytest.raises(UsageError, match="There is one tap"):
        rank(features, options=one)
    joined = ChooseOptions(parse_recipe("concat | l2"), ("greedy",), "values")
    with pytest.raises(UsageError, match="makes the taps one itself"):
        rank(features, options=joined)


def test_weights_where_nothing_helps_are_equal(tmp_path: Path) -> None:
    features = rows_of(tmp_path, [f"c{n % 2}" for n in range(24)])
    for seed in range(6):
        options = ChooseOptions(strategies=("weighted",))
        assert rank(permuted(features, seed), options=options).candidates


def test_narrow_fused_taps_are_judged_as_wide_ones_are(tmp_path: Path) -> None:
    """More rows than columns: one decomposition of the columns, the same figures."""
    features = fill(tmp_path, colours(60)).features
    task = Task.of(features, ChooseOptions())
    (narrow,) = [judge_set(task, task.taps, Recipe().fused())]
    assert narrow.width > len(task.rows) - 1  # 56 of 48 rows: wide; two taps are narrow
    two = judge_set(task, task.taps[:2], Recipe().fused())
    errors = loo_of(features, list(task.taps[:2]), task.targets.Y, two.alpha)
    assert two.error == pytest.approx(errors.mean(), rel=1e-4)


def test_candidates_at_once_fit_into_memory_with_their_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.of(fill(tmp_path, colours()).features, ChooseOptions())
    n_rows = len(task.rows)
    widest = max(task.features.X(tap).shape[1] for tap in task.taps)
    one = 6 * 8 * n_rows**2 + 12 * n_rows * widest
    monkeypatch.setattr(strategies, "MAX_BYTES", 3 * one)
    assert strategies._at_once(task) == 3
    joined = Task.of(task.features, ChooseOptions(parse_recipe("gap | concat")))
    assert strategies._at_once(joined) < 3


def test_choosing_in_several_threads_leaves_warnings_as_they_were(tmp_path: Path) -> None:
    features = fill(tmp_path, colours()).features
    options = ChooseOptions(parse_recipe("gap | l2"))
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: rank(features, options=options), range(12)))
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="still heard"):
        warnings.warn("still heard", UserWarning, stacklevel=1)


def test_each_shard_is_checked_once_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = fill(tmp_path, colours()).features
    features = replace(filled, _opened={})  # as a store opened anew
    seen: list[Path] = []
    check = features_module.CheckedShard

    def slow(path: Path, *given: Any) -> CheckedShard:
        seen.append(path)
        time.sleep(0.05)
        return check(path, *given)

    monkeypatch.setattr(features_module, "CheckedShard", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(features.X, [features.taps[0]] * 4))
    assert seen
    assert len(seen) == len(set(seen))


def test_a_tap_without_weight_is_not_among_those_that_are_fused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be computed, stored and read for nothing."""
    task = Task.of(fill(tmp_path, colours(30)).features, ChooseOptions())
    weights = [0.0, 0.00004, *np.full(len(task.taps) - 2, 0.5)]  # one rounds to nothing
    found = SimpleNamespace(names=task.taps, weights=np.array(weights))
    monkeypatch.setattr(strategies, "nonnegative_weights", lambda *given: found)
    (chosen, _), _ = strategies._weighted(task, task.taps)
    assert chosen == task.taps[2:]
