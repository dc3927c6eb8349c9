from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import DataError, LeakageError, ModalityError, UsageError
from cutpoint.features.store import FeatureStore
from cutpoint.products.predictor import Predictor
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.features.store.helpers import images

Maker = Callable[..., Path]


@pytest.fixture
def fitted(colour_folder: Maker) -> tuple[Predictor, Path]:
    folder = colour_folder()
    return cp.fit(folder, None, FakeBackbone(), quiet=True), folder


def test_the_test_split_is_drawn_again_and_scores_what_fit_reported(
    fitted: tuple[Predictor, Path],
) -> None:
    model, folder = fitted
    found = cp.evaluate(model, folder, "test", quiet=True)
    assert found.splits_from == "drawn"
    reported = model.card.evaluation["scores"]
    assert found.scores.n_items == reported["n_items"] == 12
    assert found.scores.accuracy.value == reported["accuracy"]["value"]
    assert found.scores.log_loss == pytest.approx(reported["log_loss"], abs=1e-5)


def test_without_splits_all_is_scored_that_was_not_trained_on(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    """Once a fifth of new data was scored, and only stderr said so."""
    model, folder = fitted
    new = cp.evaluate(model, colour_folder(name="new", seed=1), quiet=True)
    assert (new.split, new.splits_from, new.scores.n_items) == ("all", "none", 60)
    assert (new.n_left_out, new.n_other_splits) == (0, 0)
    known = cp.evaluate(model, folder, quiet=True)
    assert (known.split, known.scores.n_items, known.n_left_out) == ("all", 12, 48)
    assert known.to_json()["n_left_out"] == 48
    assert known.scored == "12 items: all items; the data has no splits; 48 trained on, left out"
    assert known.scored in known.lines()[0]


def test_splits_that_the_data_brings_are_followed(
    fitted: tuple[Predictor, Path], colour_folder: Maker, tmp_path: Path
) -> None:
    for split, seed in (("train", 1), ("test", 2)):
        colour_folder(per_class=4, name=f"split/{split}", seed=seed)
    found = cp.evaluate(fitted[0], tmp_path / "split", quiet=True)
    assert (found.split, found.splits_from, found.n_other_splits) == ("test", "data", 12)
    assert {key.split("/")[0] for key in (v.key for v in found.verdicts)} == {"test"}
    (tmp_path / "split" / "test").rename(tmp_path / "split" / "val")
    assert cp.evaluate(fitted[0], tmp_path / "split", quiet=True).split == "val"


def test_the_training_score_without_what_was_trained_on_is_refused(
    fitted: tuple[Predictor, Path],
) -> None:
    with pytest.raises(UsageError, match="Nothing would be left"):
        cp.evaluate(fitted[0], fitted[1], "train", leave_out_trained=True, quiet=True)


@pytest.mark.parametrize("labels", [[3, 10, 1], [True, False], [2.0, 10.0]])
def test_labels_come_back_in_the_type_they_came_in(labels: list[object], tmp_path: Path) -> None:
    y = [labels[place % len(labels)] for place in range(12 * len(labels))]
    images = np.stack([noisy_image(labels.index(each), n) for n, each in enumerate(y)])
    for given in (y, np.array(y)):
        model = cp.fit(images, tmp_path / "m", FakeBackbone(), labels=given, quiet=True)
    for each in (model, cp.load_predictor(tmp_path / "m")):
        assert each.classes == tuple(sorted(labels))
        assert {type(name) for name in each.classes} == {type(labels[0])}
        predicted = cp.predict(each, images, quiet=True)
        assert np.mean([p.label == truth for p, truth in zip(predicted, y, strict=True)]) > 0.8
        assert {type(p.label) for p in predicted} == {type(labels[0])}
    found = cp.evaluate(model, images, "all", labels=y, leave_out_trained=True, quiet=True)
    assert found.classes == model.classes
    assert {v.truth for v in found.verdicts} == set(labels)
    assert json.loads(json.dumps(found.to_json()))["classes"] == sorted(labels)
    features = cp.extract(images, FakeBackbone(), store=tmp_path / "s", labels=y, quiet=True)
    for each in (features, FeatureStore(tmp_path / "s").open()):
        assert each.labels.tolist() == y
        assert each.classes == tuple(sorted(labels))
    assert cp.choose(features, quiet=True).taken.score.value > 0.8


def test_rows_it_was_fitted_on_are_refused_unless_the_training_score_is_named(
    fitted: tuple[Predictor, Path], tmp_path: Path
) -> None:
    model, folder = fitted
    with pytest.raises(LeakageError, match="48 of the 60 items to score were trained on"):
        cp.evaluate(model, folder, "all", quiet=True)
    assert cp.evaluate(model, folder, "train", quiet=True).scores.n_items == 48
    kept = cp.evaluate(model, folder, "all", leave_out_trained=True, quiet=True)
    assert (kept.scores.n_items, kept.n_left_out) == (12, 48)
    shutil.copytree(folder, tmp_path / "renamed")  # the bytes tell, not the names
    with pytest.raises(LeakageError):
        cp.evaluate(model, tmp_path / "renamed", "all", quiet=True)


def test_new_labelled_data_is_scored_whole(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    found = cp.evaluate(fitted[0], colour_folder(name="new", seed=1), "all", quiet=True)
    assert found.scores.n_items == 60
    assert found.scores.accuracy.value > 0.9
    wrong = [verdict for verdict in found.verdicts if not verdict.is_right]
    assert len(wrong) == round(60 * (1 - found.scores.accuracy.value))


def test_classes_it_does_not_know_are_refused(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    strange = colour_folder(name="strange", classes="red mauve puce", seed=2)
    with pytest.raises(DataError, match=r"does not know some classes.*: mauve, puce"):
        cp.evaluate(fitted[0], strange, "all", quiet=True)


def test_sentences_are_refused(fitted: tuple[Predictor, Path], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nhello,red\nbye,blue\n")
    with pytest.raises(ModalityError):
        cp.evaluate(fitted[0], tmp_path / "t.csv", quiet=True)


def test_an_empty_split_is_told_with_one_that_can_be_scored(
    fitted: tuple[Predictor, Path],
) -> None:
    model, folder = fitted
    with pytest.raises(DataError, match=r'^Split "val" of .* has no items\.') as caught:
        cp.evaluate(model, folder, "val", quiet=True)
    assert caught.value.got == "Its items are in: test (12), train (48)."
    assert caught.value.type_next == "Type:  split='test'"


def test_bad_files_are_counted_and_not_scored(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    new = colour_folder(name="new", seed=1)
    (new / "red" / "000.png").write_bytes(b"")
    found = cp.evaluate(fitted[0], new, "all", quiet=True)
    assert found.scores.n_items == 59
    assert found.quarantined == (("red/000.png", "empty file (0 bytes)"),)
    assert "; 1 quarantined" in found.lines()[0]


def test_the_confusion_matrix_is_printed_for_a_few_classes(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    found = cp.evaluate(fitted[0], colour_folder(name="new", seed=1), "all", quiet=True)
    header, *rows = found.lines()[-4:]
    assert header.split() == ["true", "\\", "predicted", "blue", "green", "red"]
    assert [[int(n) for n in row.split()[1:]] for row in rows] == [
        list(counts) for counts in found.scores.confusion
    ]
    assert sum(map(sum, found.scores.confusion)) == 60


def test_a_report_is_written_on_request(
    fitted: tuple[Predictor, Path], colour_folder: Maker, tmp_path: Path
) -> None:
    new = colour_folder(name="new", seed=1)
    cp.evaluate(fitted[0], new, "all", report=tmp_path / "r.html", quiet=True)
    assert "accuracy on split" in (tmp_path / "r.html").read_text()


def test_probabilities_of_the_evaluation_are_those_of_predict(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    new = colour_folder(name="new", seed=1)
    found = cp.evaluate(fitted[0], new, "all", quiet=True)
    predicted = cp.predict(fitted[0], new, quiet=True)
    np.testing.assert_allclose(found.confidence, [each.probability for each in predicted])


def test_labels_of_another_type_are_the_classes_they_equal() -> None:
    pixels, labels = images(24), np.arange(24) % 2
    model = cp.fit(pixels, backbone=FakeBackbone(), labels=labels, quiet=True)
    others = images(12, seed=3)
    for given in (labels[:12], labels[:12] * 1.0, labels[:12] == 1, list("01") * 6):
        found = cp.evaluate(model, others, labels=list(given), quiet=True)
        assert {verdict.truth for verdict in found.verdicts} == {0, 1}
    with pytest.raises(DataError, match="does not know"):
        cp.evaluate(model, others, labels=[0.5, 1.0] * 6, kind="classes", quiet=True)
