from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.data import read_dataset
from cutpoint.errors import ModalityError, PredictorError, UsageError
from cutpoint.predictor import HEAD, MANIFEST, Predictor
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image, write_image

Maker = Callable[..., Path]


@pytest.fixture
def saved(colour_folder: Maker, tmp_path: Path) -> Path:
    cp.fit(colour_folder(), tmp_path / "m.cutpoint", FakeBackbone(), quiet=True)
    return tmp_path / "m.cutpoint"


def change(folder: Path, **fields: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_loaded_predictor_predicts_the_same(saved: Path, colour_folder: Maker) -> None:
    fresh = colour_folder(name="fresh", seed=1)
    model = cp.load_predictor(saved)
    again = cp.fit(colour_folder(), None, FakeBackbone(), quiet=True)
    assert model.predict(read_dataset(fresh)) == again.predict(read_dataset(fresh))
    assert {file.name for file in saved.iterdir()} >= {MANIFEST, HEAD, "report.html", "splits.csv"}


def test_labels_come_with_calibrated_probabilities_in_order(
    saved: Path, colour_folder: Maker
) -> None:
    fresh = colour_folder(name="fresh", seed=1)
    files = sorted(fresh.rglob("*.png"), reverse=True)
    found = cp.predict(saved, files, quiet=True)
    assert [each.key for each in found] == [file.as_posix() for file in files]
    right = [each.label == file.parent.name for each, file in zip(found, files, strict=True)]
    assert np.mean(right) > 0.9
    assert all(1 / 3 < each.probability <= 1 for each in found)


def test_a_bad_file_is_told_in_its_place_and_the_others_are_not_moved(
    saved: Path, tmp_path: Path
) -> None:
    for name, channel in (("a.png", 0), ("c.png", 2)):
        write_image(tmp_path / "in" / name, noisy_image(channel, 99))
    (tmp_path / "in" / "b.png").write_bytes(b"")
    files = [tmp_path / "in" / name for name in ("a.png", "b.png", "c.png", "d.png", "a.png")]
    found = cp.predict(saved, files, quiet=True)
    assert [each.label for each in found] == ["red", None, "blue", None, "red"]
    assert [bool(each.reason) for each in found] == [False, True, False, True, False]
    assert found[1].reason == "empty file (0 bytes)"
    assert found[3].reason == "file not found"


def test_hundreds_of_items_keep_their_order_across_workers(saved: Path) -> None:
    batch = [noisy_image(row % 3, row, side=16) for row in range(200)]
    found = cp.predict(saved, batch, n_workers=4, quiet=True)
    alone = [cp.predict(saved, [batch[row]], quiet=True)[0] for row in (0, 77, 199)]
    assert [found[row].probability for row in (0, 77, 199)] == pytest.approx(
        [each.probability for each in alone], abs=1e-6
    )


def test_no_pickle_is_written(saved: Path) -> None:
    assert {file.suffix for file in saved.iterdir()} <= {".json", ".safetensors", ".csv", ".html"}


def test_a_predictor_replaces_an_older_one_and_nothing_else(
    saved: Path, colour_folder: Maker, tmp_path: Path
) -> None:
    model = cp.load_predictor(saved)
    model.save(saved)
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="Something else is there"):
        cp.fit(colour_folder(), tmp_path / "mine", FakeBackbone(), quiet=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize("file", [MANIFEST, HEAD])
@pytest.mark.parametrize("damage", ["remove", "truncate", "flip"])
def test_a_damaged_predictor_is_refused(saved: Path, file: str, damage: str) -> None:
    path = saved / file
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(PredictorError, match=r"It can't be"):
        cp.load_predictor(saved)


def test_another_modality_is_refused(saved: Path) -> None:
    change(saved, modality="text")
    with pytest.raises(ModalityError, match='items of kind "text"'):
        cp.load_predictor(saved)


def test_another_class_set_is_refused(saved: Path) -> None:
    fields = json.loads((saved / MANIFEST).read_text())
    change(saved, head={**fields["head"], "classes": ["red", "green"]})
    with pytest.raises(PredictorError, match="2 classes for weights"):
        cp.load_predictor(saved)


def test_a_later_format_and_missing_fields_are_refused(saved: Path) -> None:
    change(saved, format=2)
    with pytest.raises(PredictorError, match="its format is 2"):
        cp.load_predictor(saved)


def test_a_backbone_with_other_weights_is_refused(saved: Path) -> None:
    with pytest.raises(PredictorError, match="weights_sha256 was"):
        cp.load_predictor(saved, FakeBackbone(1))


def test_the_backbone_is_found_by_its_name(saved: Path) -> None:
    assert cp.load_predictor(saved).backbone.spec.id == "fake:seed0"


GOLDEN = Path(__file__).parents[1] / "golden"


def test_the_golden_predictor_opens_and_predicts_what_it_did(tmp_path: Path) -> None:
    """Made once by tests/golden/make.py; later releases must read it."""
    shutil.copytree(GOLDEN / "predictor-v1", tmp_path / "p")
    model = cp.load_predictor(tmp_path / "p")
    assert isinstance(model, Predictor)
    expected = json.loads((GOLDEN / "predictions-v1.json").read_text())
    found = cp.predict(model, [noisy_image(row % 3, row + 500) for row in range(12)], quiet=True)
    assert [each.label for each in found] == [row["label"] for row in expected]
    assert [each.probability for each in found] == pytest.approx(
        [row["probability"] for row in expected], abs=1e-5
    )
