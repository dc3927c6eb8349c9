"""Recipes: what is typed, what is fitted, and that nothing leaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

import cutpoint as cp
import cutpoint.learning.recipe.fit as recipe_fit
from cutpoint.base.errors import LeakageError, UsageError
from cutpoint.features.store import Features
from cutpoint.learning.gram import Moments
from cutpoint.learning.heads import parse_head
from cutpoint.learning.recipe import FittedRecipe, Recipe, fit_recipe, parse_recipe
from cutpoint.learning.recipe import rows as recipe_rows
from cutpoint.learning.recipe.rows import aggregated
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said once a process is said in each test."""
    monkeypatch.setattr(recipe_fit, "_said", set())


@pytest.fixture
def features() -> Features:
    pixels = np.stack([noisy_image(row % 3, row) for row in range(90)])
    splits = ["test" if row % 5 == 0 else "train" for row in range(90)]
    labels = [str(row % 3) for row in range(90)]
    return cp.extract(
        pixels, FakeBackbone(), pool=["gap", "gmp"], labels=labels, splits=splits, quiet=True
    )


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("gem(3)|l2", "gem | l2"),
        ("gmp | gap", "gap | gmp"),
        ("gem | l2 | concat | power(.5) | pca(512,whiten) | l2", "gem | l2 | concat | power | "
         "pca(n_components=512, whiten) | l2"),
        ("classic", "stages(2) | gem | l2 | concat | pca(n_components=512, whiten) | l2"),
        ("gap | gaussian(8) | mean", "gap | gaussian(n_components=8) | mean"),
        ("mean | l2", "mean | l2"),
        ("l2", "l2"),
        ("learned_gem(3) | l2 | concat | pca(64)", "learned_gem | l2 | concat | "
         "pca(n_components=64)"),
        ("grid(4) | attention_pool(n_hidden=8) | zscore", "grid(4) | attention_pool(n_hidden=8) | "
         "zscore"),
        ("gap | projection(8, init=orthogonal) | mean", "gap | projection(n_components=8, "
         "init=orthogonal) | mean"),
        ("gap | variance(threshold=0.01) | mask(soft)", "gap | variance(threshold=0.01) | "
         "mask(soft)"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_recipe_has_one_spelling_that_reads_back(typed: str, spelled: str) -> None:
    recipe = parse_recipe(typed)
    assert str(recipe) == spelled
    assert parse_recipe(spelled) == recipe


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gem | | l2", "a stage is empty"),
        ("gem | fourier", '"fourier" is no stage'),
        ("l2 | gem", '"gem" is no stage, or stands in the wrong place'),
        ("gem | concat | mean", "taps are one already"),
        ("gem | pca(wat)", '"wat" is no number'),
        ("gem | pca(8, colour)", "pca takes n_components"),
        ("gem | pca(8, n_components=9)", "pca takes"),
        ("stages(0) | gem", "whole number"),
        ("gem | pca(8", "can't be read"),
        ("gap | learned_gem", 'and "gap" leaves none'),
        ("grid(2) | l2 | learned_gem", "the first thing done to a tap"),
        ("grid(2) | concat | learned_gem", "the first thing done to a tap"),
        ("grid(2) | learned_gem | learned_gem", "the first thing done to a tap"),
        ("grid(2) | learned_gem(p=-1)", "-1 is not a number above 0"),
        ("grid(2) | learned_gem(layout=NHWC)", "learned_gem takes"),
    ],
)
def test_what_can_not_be_followed_says_why_and_lists_the_stages(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(text)
    assert why in caught.value.wrong
    assert "zscore" in caught.value.would_do
    assert "concat" in caught.value.would_do
    assert "recipe='" in caught.value.type_next


def test_concat_and_pca_equal_scikit_learns_pipeline(features: Features) -> None:
    """Reference: StandardScaler and PCA of scikit-learn; 1e-4 up to the sign of a component."""
    rows = features.rows_of("train")
    recipe = parse_recipe("gap | zscore | concat | pca(6)")
    taps = [tap for tap in features.taps if tap.endswith("/gap")]
    fitted, X = fit_recipe(recipe, features, taps, rows)
    scaled = [StandardScaler().fit_transform(features.X(tap, rows)) for tap in taps]
    expected = PCA(6, svd_solver="full").fit_transform(np.concatenate(scaled, axis=1))
    assert X.shape == expected.shape
    np.testing.assert_allclose(np.abs(X), np.abs(expected), atol=1e-4)
    others = fitted.of(features, features.rows_of("test"))
    assert others.shape == (18, 6)


@pytest.mark.parametrize("how", ["mean", "max"])
def test_taps_of_one_width_become_one(features: Features, how: str) -> None:
    rows = features.rows_of("train")
    taps = ["conv2/gap", "conv2/gmp"]
    _, X = fit_recipe(parse_recipe(f"gap | {how}"), features, taps, rows)
    pair = np.stack([features.X(tap, rows) for tap in taps])
    np.testing.assert_allclose(X, getattr(pair, how)(axis=0), rtol=1e-6)
    with pytest.raises(UsageError, match="gaussian"):
        fit_recipe(parse_recipe(f"gap | {how}"), features, ["conv1/gap", "conv2/gap"], rows)
    for stage in ("gaussian", "sparse", "orthogonal", "projection"):
        for width in (5, 30):  # down, and up from 8 and 12
            projected = parse_recipe(f"gap | {stage}({width}) | {how}")
            X = fit_recipe(projected, features, ["conv1/gap", "conv2/gap"], rows)[1]
            assert X.shape[1] == width


@pytest.mark.parametrize(
    ("text", "widths"),
    [
        ("gap | pca(10) | mean", "8, 10"),
        ("gap | zscore | max", "8, 12"),
        ("gap | f_test(10) | mean", "8, 10"),
        ("gap | autoencoder(9) | softmax", "8, 9"),
    ],
)
def test_taps_of_different_widths_are_refused_before_anything_is_fitted(
    features: Features, text: str, widths: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_rows.Rows, "fit", lambda *given: pytest.fail("something was fitted"))
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv2/gap"]
    with pytest.raises(UsageError, match=f"needs one width; they have {widths}"):
        fit_recipe(parse_recipe(text), features, taps, rows)


def test_widths_that_few_rows_make_equal_are_no_fault(features: Features) -> None:
    """Six rows vary along five directions, whatever the width."""
    rows = features.rows_of("train")[:6]
    X = fit_recipe(parse_recipe("gap | pca(5) | mean"), features, ["conv1/gap", "conv3/gap"], rows)
    assert X[1].shape == (6, 5)
    wide = parse_recipe("gap | pca(10) | mean")
    with pytest.warns(UserWarning, match="asks for more than"):
        X = fit_recipe(wide, features, ["conv1/gap", "conv3/gap"], rows)
    assert X[1].shape == (6, 5)


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("gap | mean", "auto"),
        ("gap | pca(10) | softmax", "auto"),
        ("learned_gem | l2", "gap"),
        ("learned_gem | l2 | concat", ["grid(2)", "gap"]),
    ],
)
def test_a_fit_that_can_not_end_does_not_begin(
    colour_folder: Callable[..., Path], text: str, pool: str | list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"needs one width|taps are vectors"):
        cp.fit(
            colour_folder(), None, FakeBackbone(), pool=pool, recipe=text, quiet=True,
            store=tmp_path / "s",
        )  # fmt: skip
    assert not (tmp_path / "s").exists()


def test_a_recipe_never_learns_from_test_rows(features: Features) -> None:
    rows = np.concatenate([features.rows_of("train"), features.rows_of("test")[:2]])
    with pytest.raises(LeakageError, match=r"2 rows .* are of the test split") as caught:
        fit_recipe(parse_recipe("gap | pca(2)"), features, ["conv1/gap"], rows)
    assert str(features.keys[features.rows_of("test")[0]]) in str(caught.value)


def test_rows_it_learned_from_are_scored_only_by_the_name_of_training(features: Features) -> None:
    rows = features.rows_of("train")
    fitted, X = fit_recipe(parse_recipe("gap | pca(2)"), features, ["conv1/gap"], rows)
    with pytest.raises(LeakageError, match="fitted on them") as caught:
        fitted.of(features, rows[:4])
    assert str(features.keys[rows[0]]) in str(caught.value)
    np.testing.assert_allclose(fitted.of(features, rows, training=True), X, atol=1e-6)
    free, _ = fit_recipe(parse_recipe("gap | l2"), features, ["conv1/gap"], rows)
    assert len(free.of(features, rows)) == len(rows)  # it learned nothing


def test_a_recipe_that_learns_is_judged_in_folds_it_did_not_see(features: Features) -> None:
    """Reference: the same folds with scikit-learn's scaler, PCA and ridge (λ by its own LOO)."""
    ranking = cp.choose(features, "gap | zscore | pca(4)", quiet=True)
    assert ranking.how == "5-fold"
    rows = features.rows_of("train")
    X, y = features.X("conv3/gap", rows).astype(np.float64), features.labels[rows].astype(str)
    truth = np.unique(y, return_inverse=True)[1]
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    n_right = 0
    for learn, judge in folds.split(rows, truth, np.arange(len(rows))):
        scaler = StandardScaler().fit(X[learn])
        pca = PCA(4, svd_solver="full").fit(scaler.transform(X[learn]))
        head = RidgeClassifierCV(np.geomspace(1e-4, 1e3, 20) * 4)
        head.fit(pca.transform(scaler.transform(X[learn])), truth[learn])
        found = head.predict(pca.transform(scaler.transform(X[judge])))
        n_right += int((found == truth[judge]).sum())
    (ours,) = (each for each in ranking.candidates if each.taps == ("conv3/gap",))
    assert ours.score.value == pytest.approx(n_right / len(rows), abs=2.5 / len(rows))


def test_supervised_selection_on_noise_stays_at_chance() -> None:
    """Chosen outside the fold, five of many noise columns would look like signal."""
    pixels = RANDOM.integers(0, 256, (120, 16, 16, 3)).astype(np.uint8)
    labels = [str(row % 2) for row in range(120)]
    features = cp.extract(
        pixels, FakeBackbone(), pool="flatten", labels=labels, splits=["train"] * 120, quiet=True
    )
    ranking = cp.choose(features, "flatten | f_test(5)", quiet=True)
    for candidate in ranking.candidates:
        assert candidate.score.low < 0.5 < candidate.score.high + 0.1
        assert candidate.score.value < 0.65


def test_without_anything_learned_leave_one_out_stays_exact(features: Features) -> None:
    assert cp.choose(features, "gap | l2 | power(0.5)", quiet=True).how == "LOO"
    assert cp.choose(features, quiet=True).n_folds == 0


def test_columns_keep_their_names(features: Features) -> None:
    rows = features.rows_of("train")
    widths = {tap: features.X(tap, rows).shape[1] for tap in features.taps}
    fitted, X = fit_recipe(
        parse_recipe("gap | concat | f_test(3)"), features, ["conv1/gap", "conv3/gap"], rows
    )
    names = fitted.feature_names(widths)
    assert len(names) == X.shape[1] == 3
    assert all(name.startswith(("conv1/gap[", "conv3/gap[")) for name in names)
    mixed, _ = fit_recipe(parse_recipe("gap | pca(2)"), features, ["conv1/gap"], rows)
    assert mixed.feature_names(widths) == ["pca[0]", "pca[1]"]


def test_mixed_columns_are_one_block(features: Features) -> None:
    """`tap_l2` of 36 mixed columns is `l2`; the widths 8 + 12 + 16 add up to 36 too."""
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv2/gap", "conv3/gap"]
    fitted, X = fit_recipe(
        parse_recipe("gap | concat | orthogonal(36) | tap_l2"), features, taps, rows
    )
    assert fitted.after[1].blocks == (36,)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-5)


def test_more_columns_than_there_are_is_told_alike_for_every_tap_and_fold(
    features: Features,
) -> None:
    with pytest.warns(UserWarning, match="asks for more than") as caught:
        cp.choose(features, "gap | pca(512)", quiet=True)
    assert {str(each.message) for each in caught} == {
        '"pca(n_components=512)" asks for more than some taps or rows have; what they have is '
        "taken."
    }


def test_more_resolutions_than_there_are_are_refused() -> None:
    with pytest.raises(UsageError, match="maps of 3 resolutions") as caught:
        parse_recipe("stages(99) | gap").taps(FakeBackbone().layers())
    assert caught.value.type_next.endswith("recipe='stages(3) | gap'")


@pytest.mark.parametrize(
    "stage",
    [
        "pca(nan)", "pca(inf)", "pca(6:7)", "pca(True)", "pca(3, 4)", "orthogonal(16.0)",
        "gaussian(0.5)", "sparse(2.5)", "svd(1.5)", "svd(4, n_iter=-1)", "autoencoder(2.5)",
        "projection(2.5)", "projection(2, n_steps=0)", "umap(0)", "umap(2, 1)",
        "umap(2, min_dist=5)", "l1(0)", "rfe(step=0)", "rfe(step=1.0)", "rfe(alpha=-1)",
        "mutual_info(0.5, 0)", "mask(n_steps=0)", "mask(n_steps=-5)", "mask(penalty=-1)",
        "mask(final_temperature=0)", "group_lasso(penalty=-1)", "group_lasso(max_iter=0)",
        "power(nan)", "fuse(weights=-1)", "fuse(weights=0:0)", "softmax(n_steps=0)",
        "gaussian(3, random_state=-1)", "projection(3, init=zeros)", "variance(threshold=-1)",
        "mask(0.3, soft)", "l1(tol=-1)",
    ],
)  # fmt: skip
def test_a_stage_with_a_parameter_that_can_not_be_is_refused_when_typed(stage: str) -> None:
    with pytest.raises(UsageError, match="can't be") as caught:
        parse_recipe(f"gap | {stage}")
    typed = caught.value.type_next.removeprefix("Type, for example:  ")
    whole = re.fullmatch("recipe='(.+)'", typed)
    assert parse_recipe(whole[1] if whole else f"gap | {typed}")  # what is to be typed can be


def test_weights_of_taps_are_one_a_tap(features: Features) -> None:
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv2/gap", "conv3/gap"]
    for text in ("gap | concat | fuse(weights=1)", "gap | concat | fuse(weights=1:2)"):
        with pytest.raises(UsageError, match="weights for 3 taps") as caught:
            fit_recipe(parse_recipe(text), features, taps, rows)
        assert caught.value.type_next.endswith("fuse(weights=1:1:1)")
    fit_recipe(parse_recipe("gap | fuse(weights=1)"), features, taps[:1], rows)


@pytest.mark.parametrize("text", ["classic", "gap | l2", "gap | zscore | concat | f_test(4) | l2"])
def test_a_fitted_recipe_is_the_same_after_saving(features: Features, text: str) -> None:
    rows, others = features.rows_of("train"), features.rows_of("test")
    taps = [tap for tap in features.taps if tap.endswith("/gap")]
    recipe = parse_recipe(text.replace("classic", "gap | l2 | concat | pca(5, whiten) | l2"))
    taps = taps if recipe.aggregate else taps[:1]
    fitted, _ = fit_recipe(recipe, features, taps, rows)
    fields, arrays = fitted.to_state()
    again = FittedRecipe.from_state(json.loads(json.dumps(fields)), arrays)
    assert again.recipe == fitted.recipe
    np.testing.assert_array_equal(again.of(features, others), fitted.of(features, others))


def test_the_whole_way_with_a_recipe(colour_folder: Callable[..., Path], tmp_path: Path) -> None:
    model = cp.fit(
        colour_folder(), tmp_path / "m", FakeBackbone(), recipe="stages(2) | gap | concat | pca(6)",
        quiet=True,
    )  # fmt: skip
    assert [tap.name for tap in model.taps] == ["conv2/gap", "conv3/gap"]
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.8
    assert model.card.ranking["recipe"].endswith("pca(n_components=6)")
    again = cp.load_predictor(tmp_path / "m")
    files = sorted((tmp_path / "colours").rglob("*.png"))[:5]
    assert cp.predict(again, files, quiet=True) == cp.predict(model, files, quiet=True)
    assert "5-fold accuracy" in (tmp_path / "m" / "report.html").read_text()


def test_an_empty_recipe_is_the_tap_itself(features: Features) -> None:
    rows = features.rows_of("train")
    fitted, X = fit_recipe(Recipe(), features, ["conv1/gap"], rows)
    np.testing.assert_array_equal(X, features.X("conv1/gap", rows))
    assert fitted.learned_from == frozenset()
    assert str(fitted) == "conv1/gap"


def test_a_weighted_sum_of_taps_is_learned_without_the_rows_it_is_judged_on(
    features: Features,
) -> None:
    recipe = parse_recipe("gap | orthogonal(8) | softmax(norm) | l2")
    assert str(recipe) == "gap | orthogonal(n_components=8) | softmax(norm) | l2"
    assert parse_recipe(str(recipe)) == recipe
    rows = features.rows_of("train")
    taps = ["conv1/gap", "conv2/gap", "conv3/gap"]
    fitted, X = fit_recipe(recipe, features, taps, rows)
    assert X.shape == (len(rows), 8)
    assert list(fitted.tap_weights) == taps
    assert sum(fitted.tap_weights.values()) == pytest.approx(1)
    with pytest.raises(LeakageError):
        fitted.of(features, rows[:1])
    fields, arrays = fitted.to_state()
    again = FittedRecipe.from_state(json.loads(json.dumps(fields)), arrays)
    tests = features.rows_of("test")
    np.testing.assert_array_equal(again.of(features, tests), fitted.of(features, tests))
    ranking = cp.choose(features, recipe, quiet=True)
    assert (ranking.how, len(ranking.candidates)) == ("5-fold", 1)
    with pytest.raises(UsageError, match="they have 8, 12"):
        fit_recipe(parse_recipe("gap | softmax"), features, taps[:2], rows)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Small chunks; how many rows were asked of the store at a time."""
    asked: list[int] = []
    whole = Features.X

    def noted(self: Features, tap: str, rows: np.ndarray | None = None) -> np.ndarray:
        asked.append(len(self) if rows is None else len(rows))
        return whole(self, tap, rows)

    monkeypatch.setattr(Features, "X", noted)
    monkeypatch.setattr(recipe_rows, "CHUNK_ROWS", 7)
    return asked


def test_chunks_are_the_matrix_in_order_whatever_their_size(features: Features) -> None:
    rows = np.random.default_rng(0).permutation(len(features))[:50]
    for n_rows in (1, 7, 50, 1000):
        parts = list(features.chunks("conv2/gap", rows, n_rows))
        assert {len(part) for part in parts[:-1]} <= {n_rows}
        np.testing.assert_array_equal(np.concatenate(parts), features.X("conv2/gap", rows))
    assert len(np.concatenate(list(features.chunks("conv2/gap")))) == len(features)
    assert list(features.chunks("conv2/gap", rows[:0])) == []


def test_covariance_and_gram_of_a_store_in_one_pass(features: Features) -> None:
    """Reference: `numpy.cov` and the product in float64; 1e-10 relative."""
    moments = Moments.of(features.chunks("conv3/gap", n_rows=7))
    X = features.X("conv3/gap").astype(np.float64)
    np.testing.assert_allclose(moments.covariance(), np.cov(X.T), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(moments.gram(), X.T @ X, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("text", ["gap | concat | pca(6)", "gap | zscore | concat"])
def test_what_is_fitted_on_chunks_is_what_is_fitted_in_memory(
    features: Features, read: list[int], text: str
) -> None:
    """1e-10, up to what float32 rows round to."""
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv2/gap", "conv3/gap"]
    recipe = parse_recipe(text)
    fitted, X = fit_recipe(recipe, features, taps, rows, at_most_bytes=1)
    assert max(read) <= 7
    whole, expected = fit_recipe(recipe, features, taps, rows)
    np.testing.assert_allclose(X, expected, atol=1e-5)
    (one, arrays), (other, in_memory) = fitted.to_state(), whole.to_state()
    assert one == other
    for name, array in in_memory.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-10, atol=1e-10, err_msg=name)
    assert fitted.learned_from == whole.learned_from
    with pytest.raises(LeakageError):
        fitted.of(features, rows[:1])


def test_stages_that_need_all_rows_still_get_them(features: Features, read: list[int]) -> None:
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv3/gap"]
    recipe = parse_recipe("gap | l2 | concat | gaussian(20) | f_test(5) | zscore")
    found = fit_recipe(recipe, features, taps, rows, at_most_bytes=1)[1]
    np.testing.assert_allclose(found, fit_recipe(recipe, features, taps, rows)[1], atol=1e-5)
    wide = parse_recipe("gap | concat | pca(3)")  # fewer rows than columns: no covariance
    few = rows[:9]
    streamed = fit_recipe(wide, features, taps, few, at_most_bytes=1)[1]
    np.testing.assert_allclose(streamed, fit_recipe(wide, features, taps, few)[1], atol=1e-5)


def test_head2toes_recipe_goes_the_whole_way(
    tmp_path: Path, colour_folder: Callable[..., Path]
) -> None:
    """Taps that lose all their columns are no trouble to what follows, nor to a saved predictor."""
    text = "gap | l2 | concat | ridge_norm(3) | tap_l2"
    predictor = cp.fit(colour_folder(20), tmp_path / "m", FakeBackbone(), recipe=text, quiet=True)
    blocks = predictor.recipe.after[-1].blocks
    assert sum(blocks) == 3
    assert min(blocks) >= 1
    item = tmp_path / "colours" / "red" / "000.png"
    (before,) = predictor.predict([item])
    (after,) = cp.load_predictor(tmp_path / "m").predict([item])
    assert after == before


def test_each_pca_says_how_much_of_the_variance_it_keeps(features: Features) -> None:
    """Reference: `explained_variance_ratio_` of scikit-learn's PCA; 1e-6."""
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv3/gap"]
    fitted, _ = fit_recipe(parse_recipe("gap | pca(3) | concat | pca(0.9)"), features, taps, rows)
    kept = fitted.variance_kept()
    assert [(each["stage"], each["tap"]) for each in kept] == [
        ("pca(n_components=3)", "conv1/gap"), ("pca(n_components=3)", "conv3/gap"),
        ("pca(n_components=0.9)", ""),
    ]  # fmt: skip
    for each in kept[:2]:
        X = features.X(each["tap"], rows).astype(np.float64)
        expected = PCA(3, svd_solver="full").fit(X).explained_variance_ratio_.sum()
        assert each["share"] == pytest.approx(expected, rel=1e-6)
        assert (each["n_components"], each["n_features"]) == (3, X.shape[1])
    assert kept[2]["share"] >= 0.9
    first = fitted.variance_lines()[0]
    assert first == (
        f"pca(n_components=3) of conv1/gap: 3 components keep {100 * kept[0]['share']:.1f} % of "
        "the variance of 8 columns"
    )
    assert fit_recipe(parse_recipe("gap | l2"), features, taps[:1], rows)[0].variance_lines() == []


@pytest.fixture
def maps() -> Features:
    """Stored maps of three layers of different widths; the label is the colour."""
    pixels = np.stack([noisy_image(row % 3, row) for row in range(90)])
    splits = ["test" if row % 5 == 0 else "train" for row in range(90)]
    labels = [str(row % 3) for row in range(90)]
    return cp.extract(
        pixels, FakeBackbone(), pool=["grid(2)", "gap"], labels=labels, splits=splits, quiet=True
    )


POOLS = {
    "learned_gem": "learned_gem(max_epochs=3)",
    "attention_pool": "attention_pool(n_hidden=4, max_epochs=3)",
    "efficient_probe": "efficient_probe(n_queries=4, max_epochs=3)",
}
few_passes = pytest.mark.filterwarnings("ignore:.*(tells nothing about|below zero are lost)")


@few_passes
@pytest.mark.parametrize("kind", POOLS)
def test_pools_learn_on_several_stored_maps_as_a_stage(maps: Features, kind: str) -> None:
    """Reference: the heads fitted by themselves, L2 by norm and scikit-learn's PCA; 1e-4."""
    rows, others = maps.rows_of("train"), maps.rows_of("test")
    taps = ["conv1/grid(2)", "conv3/grid(2)"]
    recipe = parse_recipe(f"{POOLS[kind]} | l2 | concat | pca(6)")
    fitted, X = fit_recipe(recipe, maps, taps, rows)
    assert X.shape == (len(rows), 6)
    y, groups = maps.labels[rows].astype(str), maps.group_numbers(rows)
    learned, new = [], []
    for tap in taps:
        pool = parse_head(POOLS[kind]).set_params(layout="NCHW").fit(maps.X(tap, rows), y, groups)
        for parts, wanted in ((learned, rows), (new, others)):
            pooled = pool.transform(maps.X(tap, wanted))
            parts.append(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))
    pca = PCA(6, svd_solver="full").fit(np.concatenate(learned, axis=1))
    expected = pca.transform(np.concatenate(new, axis=1))
    found = fitted.of(maps, others)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
    with pytest.raises(LeakageError, match="fitted on them"):
        fitted.of(maps, rows[:2])
    with pytest.raises(LeakageError, match="of the test split"):
        fit_recipe(recipe, maps, taps, np.concatenate([rows, others[:1]]))
    fields, arrays = fitted.to_state()
    again = FittedRecipe.from_state(json.loads(json.dumps(fields)), arrays)
    np.testing.assert_array_equal(again.of(maps, others), found)
    assert len(again.feature_names(dict.fromkeys(taps, 8))) == 6


@few_passes
def test_learned_pools_are_judged_in_folds_on_maps_alone(maps: Features) -> None:
    ranking = cp.choose(maps, f"{POOLS['learned_gem']} | l2", "single", quiet=True)
    assert ranking.how == "5-fold"
    assert {each.taps[0] for each in ranking.candidates} == {f"conv{n}/grid(2)" for n in (1, 2, 3)}
    together = cp.choose(maps, f"{POOLS['learned_gem']} | l2 | concat | pca(4)", quiet=True)
    (only,) = together.candidates
    assert (len(only.taps), only.width, only.n_folds) == (3, 4, 5)


@few_passes
def test_a_pool_that_learns_finds_nothing_in_shuffled_labels() -> None:
    """Trained outside the fold, 36 attention weights would bet on the rows they are judged on."""
    pixels = RANDOM.integers(0, 256, (120, 16, 16, 3)).astype(np.uint8)
    labels = [str(row % 2) for row in range(120)]
    features = cp.extract(
        pixels, FakeBackbone(), ["conv1"], pool="grid(4)", labels=labels, splits=["train"] * 120,
        quiet=True,
    )  # fmt: skip
    ranking = cp.choose(features, "attention_pool(n_hidden=16) | l2", quiet=True)
    for candidate in ranking.candidates:
        assert candidate.score.low < 0.5 < candidate.score.high + 0.1
        assert candidate.score.value < 0.65


@few_passes
def test_the_whole_way_with_pools_that_learn(
    colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    text = f"grid(2) | {POOLS['learned_gem']} | l2 | concat | pca(4)"
    model = cp.fit(colour_folder(), tmp_path / "m", FakeBackbone(), recipe=text, quiet=True)
    assert len(model.taps) == 3
    assert model.head.kind == "ridge"
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.8
    (kept,) = model.card.variance_kept
    assert (kept["n_components"], kept["n_features"]) == (4, 36)
    assert "4 components keep" in (tmp_path / "m" / "report.html").read_text()
    again = cp.load_predictor(tmp_path / "m")
    files = sorted((tmp_path / "colours").rglob("*.png"))[:5]
    assert cp.predict(again, files, quiet=True) == cp.predict(model, files, quiet=True)


@few_passes
def test_a_damaged_pool_is_refused_when_loaded(maps: Features) -> None:
    rows, taps = maps.rows_of("train"), ["conv1/grid(2)"]
    fitted, _ = fit_recipe(parse_recipe(POOLS["learned_gem"]), maps, taps, rows)
    fields, arrays = fitted.to_state()
    broken = {**arrays, "after.0.module.pool.log_p": np.full((1, 1), np.nan, np.float32)}
    with pytest.raises(ValueError, match="NaN or infinity"):
        FittedRecipe.from_state(json.loads(json.dumps(fields)), broken)


@few_passes
def test_channels_last_maps_are_pooled_as_what_they_are(
    maps: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same maps, their channels last, under a view that says so: the same columns."""
    rows, tap = maps.rows_of("train"), "conv2/grid(2)"
    recipe = parse_recipe("attention_pool(n_hidden=4, max_epochs=2)")
    _, expected = fit_recipe(recipe, maps, [tap], rows)

    whole = Features.X
    monkeypatch.setattr(Features, "X", lambda *given: np.moveaxis(whole(*given), 1, -1))
    turned = replace(maps, fields={**maps.fields, "layouts": {tap: "NHWC"}})
    np.testing.assert_allclose(fit_recipe(recipe, turned, [tap], rows)[1], expected, atol=1e-5)


def test_maps_of_an_older_view_say_to_extract_again(maps: Features) -> None:
    bare = {name: each for name, each in maps.fields.items() if name != "layouts"}
    older = replace(maps, fields=bare)
    recipe, rows = parse_recipe("learned_gem"), maps.rows_of("train")
    with pytest.raises(UsageError, match="layout is not known: an earlier release stored it"):
        fit_recipe(recipe, older, ["conv1/grid(2)"], rows)
    with pytest.raises(UsageError, match="needs stored maps"):
        cp.choose(older, recipe, quiet=True)
    with pytest.raises(UsageError, match="It holds vectors, pooled already"):
        fit_recipe(recipe, maps, ["conv1/gap"], rows)
    assert (
        "layouts"
        not in cp.extract(
            np.zeros((4, 16, 16, 3), np.uint8), FakeBackbone(), pool="gap", quiet=True
        ).fields
    )  # views without maps are as they were


def test_queries_that_can_not_share_the_channels_are_told_before_any_work(
    colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="channels, which can't be shared evenly"):
        cp.fit(
            colour_folder(), None, FakeBackbone(), recipe="grid(2) | efficient_probe(5)",
            store=tmp_path / "s", quiet=True,
        )  # fmt: skip
    assert not (tmp_path / "s").exists()


def test_what_holds_for_all_taps_and_folds_is_told_once() -> None:
    script = """
import warnings
import numpy as np
import cutpoint as cp
from cutpoint.features.store import Features
from cutpoint.testing import FakeBackbone

warnings.filterwarnings("ignore", ".*tells nothing about")
whole = Features.X
Features.X = lambda *given: whole(*given) - whole(*given[:2]).max() / 8
pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype("uint8")
labels, splits = ["a", "b", "c"] * 10, ["train"] * 30
maps = cp.extract(
    pixels, FakeBackbone(), pool="grid(2)", labels=labels, splits=splits, quiet=True
)
cp.choose(maps, "learned_gem(max_epochs=1) | l2 | pca(512)", "single", quiet=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("values below zero are lost") == 1
    assert done.stderr.count("asks for more than some taps or rows have") == 1


def test_one_tap_alone_is_not_copied() -> None:
    """The rows of a tap may be most of the memory there is."""
    X = np.zeros((3, 2), np.float32)
    assert aggregated("concat", [X], ["a"]) is X
