"""Recipes: what is typed, what is fitted, and that nothing leaks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

import cutpoint as cp
from cutpoint.errors import LeakageError, UsageError
from cutpoint.gram import Moments
from cutpoint.recipe import FittedRecipe, Recipe, fit_recipe, parse_recipe
from cutpoint.recipe import rows as recipe_rows
from cutpoint.store import Features
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image

RANDOM = np.random.default_rng(0)


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
    ],
)
def test_what_can_not_be_followed_says_why_and_lists_the_stages(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(text)
    assert why in caught.value.got
    assert "zscore" in caught.value.would_do
    assert "concat" in caught.value.would_do
    assert "--recipe" in caught.value.type_next


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
    projected = parse_recipe(f"gap | gaussian(5) | {how}")
    assert fit_recipe(projected, features, ["conv1/gap", "conv2/gap"], rows)[1].shape[1] == 5


def test_a_recipe_never_learns_from_test_rows(features: Features) -> None:
    rows = np.concatenate([features.rows_of("train"), features.rows_of("test")[:2]])
    with pytest.raises(LeakageError, match="2 rows are of the test split") as caught:
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
    assert caught.value.type_next.endswith('--recipe "stages(3) | gap"')


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
        "gaussian(3, random_state=-1)",
    ],
)  # fmt: skip
def test_a_stage_with_a_parameter_that_can_not_be_is_refused_when_typed(stage: str) -> None:
    with pytest.raises(UsageError, match="can't be") as caught:
        parse_recipe(f"gap | {stage}")
    typed = caught.value.type_next.removeprefix("Type, for example:  ")
    whole = re.fullmatch('--recipe "(.+)"', typed)
    assert parse_recipe(whole[1] if whole else f"gap | {typed}")  # what is to be typed can be


def test_weights_of_taps_are_one_a_tap(features: Features) -> None:
    rows, taps = features.rows_of("train"), ["conv1/gap", "conv2/gap", "conv3/gap"]
    for text in ("gap | concat | fuse(weights=1)", "gap | concat | fuse(weights=1:2)"):
        with pytest.raises(UsageError, match="for 3 of taps") as caught:
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
    assert model.card["evaluation"]["scores"]["accuracy"]["value"] > 0.8
    assert model.card["ranking"]["recipe"].endswith("pca(n_components=6)")
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
    with pytest.raises(UsageError, match="widths 8, 12"):
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
