from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.progress import Reporter
from cutpoint.features.store import Features
from cutpoint.learning.choosing import ChooseOptions, HeadChoice, compare_heads, head_choice
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.heads import Head, parse_head
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.testing import FakeBackbone

QUIET = Reporter(quiet=True)
N = 150


def features_of(levels: np.ndarray, labels: list[Any], **columns: Any) -> Features:
    """Return features of grey images of some brightness, 0–1."""
    noise = np.random.default_rng(0).integers(0, 60, (len(levels), 16, 16, 3))
    images = (noise + 190 * levels[:, None, None, None]).astype(np.uint8)
    return cp.extract(
        list(images), FakeBackbone(), [-1], "gap", labels=labels, quiet=True, **columns
    )


def compared(features: Features, *heads: str, recipe: str = "") -> tuple[Head, HeadChoice, Task]:
    task = Task.of(features, ChooseOptions())
    made = [parse_head(head, task.targets.kind) for head in heads]
    return *compare_heads(task, made, ("conv3/gap",), parse_recipe(recipe), QUIET), task


@pytest.fixture(scope="module")
def levels() -> np.ndarray:
    return np.random.default_rng(1).random(N)


def test_ridge_is_kept_where_none_is_shown_to_be_better(levels: np.ndarray) -> None:
    head, choice, _ = compared(features_of(levels, list(levels)), "knn", "ridge")
    assert head.kind == choice.taken == choice.prior == "ridge"
    assert "none is shown to lose less" in str(choice)
    assert [each.text for each in choice.heads] == ["ridge", "knn"]


def test_another_is_taken_where_the_rows_show_it(levels: np.ndarray) -> None:
    """A ridge of so large a penalty says nearly the same of all rows."""
    features = features_of(levels, [f"k{round(level)}" for level in levels])
    head, choice, _ = compared(features, "ridge(alphas=1e9)", "svm", "ridge(alphas=1e8)")
    assert head.kind == choice.taken == "svm"
    assert "Taken: svm, shown to lose less than ridge(alphas=1000000000): +" in str(choice)
    assert choice.loss == "log-loss"
    gain = next(each.gain for each in choice.heads if each.text == "svm")
    assert 0 < gain.low < gain.value < gain.high


def test_twenty_rows_or_fewer_show_nothing(levels: np.ndarray) -> None:
    labels = ["mid" if 0.3 < level < 0.7 else "end" for level in levels[:22]]
    _, choice, _ = compared(features_of(levels[:22], labels), "ridge", "centroid")
    assert choice.taken == "ridge"


def test_the_first_named_is_kept_if_none_is_a_ridge(levels: np.ndarray) -> None:
    _, choice, _ = compared(features_of(levels, list(levels)), "svm", "knn")
    assert choice.prior == "svm"


def test_losses_are_those_of_heads_fitted_on_the_other_folds(levels: np.ndarray) -> None:
    features = features_of(levels, [f"k{round(level)}" for level in levels])
    _, choice, task = compared(features, "ridge")
    X = fit_recipe(parse_recipe(""), features, ("conv3/gap",), task.rows)[1]
    truth, losses = task.targets.truth, []
    for learn, judge in task.folds:
        head = cp.heads.RidgeHead().fit(X[learn], truth[learn])
        likely = head.predict_proba(X[judge])[np.arange(len(judge)), truth[judge]]
        losses.extend(-np.log(likely))
    assert choice.heads[0].loss == pytest.approx(np.mean(losses))
    assert choice.n_rows == len(task.rows)


def test_groups_are_whole_and_counted_as_one(levels: np.ndarray) -> None:
    """Rows of one group are alike: by its twins any head would know a row left out alone."""
    random = np.random.default_rng(0)
    values = np.repeat(random.random(30), 5)  # noise, the same for all of a group
    groups = [f"g{n // 5}" for n in range(N)]
    brightness = np.repeat(random.random(30), 5)
    features = features_of(brightness, list(values), groups=groups)
    _, choice, task = compared(features, "ridge", "knn")
    for learn, judge in task.folds:
        assert not set(task.groups[learn]) & set(task.groups[judge])
    assert min(each.loss for each in choice.heads) > 0.8


def test_a_recipe_is_fitted_in_each_fold_without_the_rows_judged(
    levels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def recorded(recipe: Any, features: Features, taps: Any, rows: np.ndarray) -> Any:
        seen.append(set(rows))
        return fit_recipe(recipe, features, taps, rows)

    monkeypatch.setattr(head_choice, "fit_recipe", recorded)
    features = features_of(levels, [f"k{round(level)}" for level in levels])
    _, _, task = compared(features, "ridge", recipe="f_test(3)")
    assert seen == [set(task.rows[learn]) for learn, _ in task.folds]


def test_rare_labels_missing_from_a_fold_are_not_judged_there(levels: np.ndarray) -> None:
    labels = [["bright"] if level > 0.5 else [] for level in levels]
    labels[0] = labels[1] = ["rare"]
    splits = ["train"] * (N - 2) + ["test"] * 2
    features = features_of(levels, labels, splits=splits)
    _, choice, _ = compared(features, "ridge")
    assert choice.loss == "log-loss a label"
    assert np.isfinite(choice.heads[0].loss)
