from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.errors import DataError, LeakageError, ModalityError
from cutpoint.predictor import Predictor
from cutpoint.testing import FakeBackbone

Maker = Callable[..., Path]


@pytest.fixture
def fitted(colour_folder: Maker) -> tuple[Predictor, Path]:
    folder = colour_folder()
    return cp.fit(folder, None, FakeBackbone(), quiet=True), folder


def test_the_test_split_is_drawn_again_and_scores_what_fit_reported(
    fitted: tuple[Predictor, Path],
) -> None:
    model, folder = fitted
    found = cp.evaluate(model, folder, quiet=True)
    reported = model.card["evaluation"]["scores"]
    assert found.scores.n_items == reported["n_items"] == 12
    assert found.scores.accuracy.value == reported["accuracy"]["value"]
    assert found.scores.log_loss == pytest.approx(reported["log_loss"], abs=1e-5)


def test_drawn_splits_are_told(
    fitted: tuple[Predictor, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cp.evaluate(fitted[0], fitted[1])
    assert "To score all of it:  --split all" in capsys.readouterr().err


def test_rows_it_was_fitted_on_are_refused_unless_the_training_score_is_named(
    fitted: tuple[Predictor, Path], tmp_path: Path
) -> None:
    model, folder = fitted
    with pytest.raises(LeakageError, match="was fitted on 48 of them"):
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
    with pytest.raises(DataError, match="does not know: mauve, puce"):
        cp.evaluate(fitted[0], strange, "all", quiet=True)


def test_sentences_are_refused(fitted: tuple[Predictor, Path], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\nhello,red\nbye,blue\n")
    with pytest.raises(ModalityError):
        cp.evaluate(fitted[0], tmp_path / "t.csv", quiet=True)


def test_an_empty_split_is_told(fitted: tuple[Predictor, Path]) -> None:
    with pytest.raises(DataError, match=r'Split "val".*\n.*has no items'):
        cp.evaluate(fitted[0], fitted[1], "val", quiet=True)


def test_bad_files_are_counted_and_not_scored(
    fitted: tuple[Predictor, Path], colour_folder: Maker
) -> None:
    new = colour_folder(name="new", seed=1)
    (new / "red" / "000.png").write_bytes(b"")
    found = cp.evaluate(fitted[0], new, "all", quiet=True)
    assert found.scores.n_items == 59
    assert found.quarantined == (("red/000.png", "empty file (0 bytes)"),)
    assert "1 items quarantined" in found.lines()


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
