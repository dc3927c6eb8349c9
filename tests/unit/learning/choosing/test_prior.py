"""What is taken where few items can't choose, or nothing can: from features to what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.features.store import Features
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.learning.choosing import ChooseOptions, prior_advice, rank
from cutpoint.learning.choosing.prior_taps import prior_taps
from cutpoint.learning.choosing.ranking_task import Task, blind_losses
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image, write_image
from tests.unit.features.store.helpers import fill
from tests.unit.learning.choosing.test_ranking import colours

Maker = Callable[..., Path]


def of_taps(path: Path, layers: list[str], pools: list[str]) -> Features:
    return fill(path, colours(24), spec=FakeBackbone().feature_spec(layers, pools)).features


def prior_of(features: Features, **options: object) -> tuple[str, ...]:
    return prior_taps(Task.of(features, ChooseOptions(**options)))


def test_the_prior_is_the_averages_of_the_last_two_layers(tmp_path: Path) -> None:
    features = of_taps(tmp_path, ["conv1", "conv2", "conv3"], ["gap", "gmp"])
    assert prior_of(features) == ("conv2/gap", "conv3/gap")


def test_without_two_averages_the_last_tap_is_the_prior(tmp_path: Path) -> None:
    assert prior_of(of_taps(tmp_path / "one", ["conv3"], ["gap", "gmp"])) == ()
    maxima = of_taps(tmp_path / "maxima", ["conv2", "conv3"], ["gmp"])
    assert prior_of(maxima) == ()
    assert rank(maxima).prior.tap == "conv3/gmp"
    averages = of_taps(tmp_path / "two", ["conv2", "conv3"], ["gap", "gmp"])
    assert prior_of(averages, taps=("conv2/gap", "conv3/gmp")) == ()


def test_arrays_and_class_tokens_have_the_last_tap_as_their_prior(tmp_path: Path) -> None:
    """Two averages were measured on photos; other kinds of items bring their own."""
    features = of_taps(tmp_path, ["conv2", "conv3"], ["gap", "gmp"])
    backbone = replace(features.spec.backbone, modality="array")
    arrays = replace(features, spec=replace(features.spec, backbone=backbone))
    assert prior_of(features) != ()
    assert prior_of(arrays) == ("conv3/gap",)
    task = Task.of(features, ChooseOptions(taps=("conv2/gap", "conv3/gap", "conv3/cls")))
    assert prior_taps(task) == ()


def test_of_two_layers_the_prior_is_no_second_candidate(tmp_path: Path) -> None:
    ranking = rank(of_taps(tmp_path, ["conv2", "conv3"], ["gap", "gmp"]))
    names = [each.tap for each in ranking.candidates]
    assert len(names) == len(set(names))
    assert ranking.prior.tap == "fused 2 taps, conv2/gap … conv3/gap"


def test_one_strategy_alone_keeps_its_candidates_and_its_own_prior(tmp_path: Path) -> None:
    features = of_taps(tmp_path, ["conv1", "conv2", "conv3"], ["gap", "gmp"])
    single = rank(features, options=ChooseOptions(strategies=("single",)))
    assert {each.strategy for each in single.candidates} == {"single"}
    assert single.prior is single.last
    fused = rank(features, options=ChooseOptions(strategies=("fused",)))
    assert {each.strategy for each in fused.candidates} == {"fused"}
    assert fused.prior.taps == ("conv2/gap", "conv3/gap")
    greedy = rank(features, options=ChooseOptions(strategies=("greedy",)))
    assert greedy.prior is greedy.best


def test_each_tap_of_the_prior_has_one_scale_and_weighs_the_same(tmp_path: Path) -> None:
    features = of_taps(tmp_path, ["conv1", "conv2", "conv3"], ["gap", "gmp"])
    prior, rows = rank(features).prior, features.rows_of("train")
    X = fit_recipe(parse_recipe(prior.recipe), features, prior.taps, rows)[1].astype(np.float64)
    width = features.X("conv2/gap").shape[1]
    centred = X - X.mean(axis=0)
    traces = [np.square(part).sum() / len(rows) for part in np.split(centred, [width], axis=1)]
    np.testing.assert_allclose(traces, 1, rtol=1e-5)
    before = features.X("conv2/gap", rows)
    factors = X[:, :width][before > 0] / before[before > 0]
    assert factors.max() == pytest.approx(factors.min(), rel=1e-5)


def test_of_few_photos_fit_takes_the_last_two_stages_and_says_so(
    colour_folder: Maker, tmp_path: Path
) -> None:
    output = tmp_path / "m"
    model = cp.fit(colour_folder(per_class=5), output, FakeBackbone(), quiet=True)
    assert [tap.name for tap in model.taps] == ["conv2/gap", "conv3/gap"]
    ranking = model.card.ranking
    assert ranking["why"] == "prior"
    assert ranking["headline"] == "Too few to choose: the last two stages are taken."
    assert ranking["headline"] in (output / "report.html").read_text()
    assert "over the last tap alone" in (output / "report.html").read_text()


def test_the_same_files_in_both_classes_are_told_at_the_top_and_no_layer_is(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    for number in range(30):
        pixels = noisy_image(int(random.integers(3)), number)
        for label in ("cat", "dog"):
            write_image(tmp_path / "same" / label / f"{number:02d}.png", pixels)
    features = cp.extract(
        tmp_path / "same", FakeBackbone(), ["conv1", "conv3"], store=tmp_path / "s", quiet=True
    )
    ranking = rank(features)
    assert ranking.tells_nothing
    assert str(ranking).startswith("Nothing tells the labels apart:")
    assert "conv" not in ranking.verdict()
    assert "→" not in str(ranking)


def test_an_answer_for_all_errs_as_the_class_frequencies_say(tmp_path: Path) -> None:
    """Of three even classes: (4 + 1 + 1) / 9 / 3; of values, the mean of the others is meant."""
    features = fill(tmp_path / "classes", colours(60)).features
    losses = blind_losses(Task.of(features, ChooseOptions()))
    np.testing.assert_allclose(losses, 2 / 9)
    values = np.arange(10.0)
    pixels = np.stack([noisy_image(0, n, side=16) for n in range(10)])
    data = read_arrays(pixels, [f"{v:.1f}" for v in values], None, ["train"] * 10)
    task = Task.of(fill(tmp_path / "values", data).features, ChooseOptions(kind="values"))
    others = (values.sum() - values) / 9
    np.testing.assert_allclose(blind_losses(task), np.square(others - values))


@pytest.mark.parametrize(("n_items", "is_small"), [(999, True), (1000, False)])
def test_a_thousand_items_are_enough_to_ask_for_fine_tuning(n_items: int, is_small: bool) -> None:
    """The task size of VTAB-1k, whose figures are cited from there on."""
    advice = prior_advice(n_items, 10)
    assert ("below a thousand items" in advice.advice[1]) == is_small
    assert any("VTAB" in source.who for source in advice.sources) != is_small
