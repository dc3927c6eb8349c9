from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

import cutpoint as cp
from cutpoint.base.errors import DataError, UsageError
from cutpoint.items.reading import Dataset, assign_splits, read_dataset
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.learning.choosing import ChooseOptions, Ranking, rank
from cutpoint.learning.gram import one_hot
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.features.store.helpers import fill, images

ALONE = ChooseOptions(strategies=("single",))


def colours(n_items: int = 60, groups: list[str] | None = None) -> Dataset:
    pixels = np.stack([noisy_image(row % 3, row, side=16) for row in range(n_items)])
    dataset = read_arrays(pixels, [f"c{row % 3}" for row in range(n_items)], groups)
    return assign_splits(dataset)


def test_the_ranking_is_by_exact_leave_one_out_accuracy(tmp_path: Path) -> None:
    """Reference: scikit-learn's `Ridge` refitted without each training row."""
    features = fill(tmp_path, colours()).features
    ranking = rank(features, options=ALONE)
    rows = features.rows_of("train")
    classes, truth = np.unique(features.labels[rows].astype(str), return_inverse=True)
    targets = one_hot(truth, range(len(classes)))
    for candidate in ranking.candidates:
        X = features.X(candidate.tap, rows).astype(np.float64)
        right = 0
        for row in range(len(rows)):
            rest = np.arange(len(rows)) != row
            refit = Ridge(candidate.alpha, solver="svd").fit(X[rest], targets[rest])
            # Class frequencies are taken as known: see `with_priors`.
            prior = targets.mean(axis=0) - targets[rest].mean(axis=0)
            right += (refit.predict(X[[row]])[0] + prior).argmax() == truth[row]
        assert candidate.score.value == pytest.approx(right / len(rows))
        assert candidate.width == X.shape[1]
    errors = [candidate.error for candidate in ranking.candidates]
    assert errors == sorted(errors)


def test_it_says_how_many_configurations_were_tried_and_names_no_winner_within_the_interval(
    tmp_path: Path,
) -> None:
    ranking = rank(fill(tmp_path, colours()).features, options=ALONE)
    assert ranking.n_configurations == 4 * 20
    assert "4 candidates × 20 λ = 80 configurations tried on 48 training rows" in str(ranking)
    assert len(ranking.tied) > 1  # four cuts of colours that are easy to tell
    assert "no winner is named" in ranking.verdict()
    alone = Ranking(ranking.candidates[:1], 48, 20, is_grouped=False)
    assert "the only one" in alone.verdict()


def test_test_rows_take_no_part(tmp_path: Path) -> None:
    """Wrong labels on every test row leave the ranking as it is, to the last digit."""
    dataset = colours()
    spoiled = dataset.with_items(
        tuple(
            item if item.split == "train" else type(item)(**{**vars(item), "label": "c0"})
            for item in dataset.items
        )
    )
    honest = rank(fill(tmp_path, dataset).features)
    assert rank(fill(tmp_path, spoiled).features) == honest


def test_permuted_labels_come_out_at_chance(tmp_path: Path) -> None:
    dataset = colours(150)
    labels = np.random.default_rng(0).permutation([item.label for item in dataset.items])
    shuffled = tuple(
        type(item)(**{**vars(item), "label": label})
        for item, label in zip(dataset.items, labels, strict=True)
    )
    ranking = rank(fill(tmp_path, dataset.with_items(shuffled)).features)
    assert ranking.best.score.low < 1 / 3 + 0.05  # the best of four may be a little lucky


def test_rows_of_one_group_are_left_out_together(tmp_path: Path) -> None:
    """Ten noisy copies of each image with a random label: easy alone, chance by group."""
    random = np.random.default_rng(0)
    base = images(30)
    labels = random.integers(0, 2, 30)
    copies = np.repeat(base, 10, 0) // 2 + random.integers(0, 3, (300, 16, 16, 3)).astype(np.uint8)
    names = [f"c{label}" for label in np.repeat(labels, 10)]
    groups = [f"g{row // 10}" for row in range(300)]
    splits = ["train"] * 300
    spec = FakeBackbone().feature_spec(["conv1"], ["none"])
    assert spec.taps[0].pool == "none"
    alone = rank(fill(tmp_path, read_arrays(copies, names, None, splits)).features)
    grouped = rank(fill(tmp_path, read_arrays(copies, names, groups, splits)).features)
    assert grouped.is_grouped
    assert alone.best.score.value > grouped.best.score.high


def test_copies_of_a_photo_are_left_out_together(tmp_path: Path) -> None:
    """Four copies of each noise image with a random label: alone they give the answer away."""
    labels = [f"c{label}" for label in np.random.default_rng(0).integers(0, 2, 30)]
    splits = ["train"] * 120
    copies = read_arrays(np.repeat(images(30), 4, 0), np.repeat(labels, 4), None, splits)
    ranking = rank(fill(tmp_path / "copies", copies).features)
    once = rank(
        fill(tmp_path / "once", read_arrays(images(30), labels, None, splits[:30])).features
    )
    assert ranking.is_grouped
    assert ranking.best.score.value == pytest.approx(once.best.score.value, abs=0.15)


def test_maps_alone_and_one_class_are_refused(
    tmp_path: Path, colour_folder: Callable[..., Path]
) -> None:
    whole_maps = FakeBackbone().feature_spec(["conv1"], ["none"])
    with pytest.raises(UsageError, match=r"pool=\['gap', 'gmp'\]"):
        rank(fill(tmp_path / "maps", colours(), spec=whole_maps).features)
    with pytest.raises(DataError, match="None of its training items"):
        rank(fill(tmp_path / "bare", read_dataset(images(6))).features)


@pytest.mark.parametrize("labels", ["ab", "abb"])
def test_a_nested_score_of_too_few_rows_is_refused(labels: str, tmp_path: Path) -> None:
    features = fill(tmp_path, read_arrays(images(len(labels)), list(labels))).features
    with pytest.raises(UsageError, match=r"too few for folds|nested can't be had"):
        rank(features, options=ChooseOptions(strategies=("single",), nested=True))


def test_a_row_that_is_all_of_its_class_is_never_right(tmp_path: Path) -> None:
    """Left out, its class is unknown: a score that names it is a tie that rounding decided."""
    features = fill(tmp_path, read_arrays(images(2), ["a", "b"], splits=["train"] * 2)).features
    ranking = rank(features, options=ChooseOptions(strategies=("single",)))
    assert all(each.score.value == 0 for each in ranking.candidates)


def test_items_that_are_all_equal_or_have_no_label_are_told_as_such(tmp_path: Path) -> None:
    same = np.zeros((8, 16, 16, 3), np.uint8)
    with pytest.raises(DataError, match="All 8 training items are equal"):
        cp.choose(
            cp.extract(
                same, FakeBackbone(), -1, "gap", labels=[0, 1] * 4, splits=["train"] * 8, quiet=True
            )
        )
    with pytest.raises(DataError, match="None of its training items has a label"):
        cp.choose(cp.extract(images(4), FakeBackbone(), -1, "gap", quiet=True))
