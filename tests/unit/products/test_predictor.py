from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

import cutpoint as cp
from cutpoint.base.errors import CutpointError, ModalityError, PredictorError, UsageError
from cutpoint.base.spec import PreprocessSpec
from cutpoint.base.tongue import in_shell
from cutpoint.items.reading import read_dataset
from cutpoint.networks.engines import make_ready
from cutpoint.products.predictor import HEAD, MANIFEST, Card, Predictor, refuse_foreign, signed
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image, write_image
from tests.unit.features.store.ragged import Sentences, sentences

Maker = Callable[..., Path]


@pytest.fixture
def saved(colour_folder: Maker, tmp_path: Path) -> Path:
    cp.fit(colour_folder(), tmp_path / "m.cutpoint", FakeBackbone(), quiet=True)
    return tmp_path / "m.cutpoint"


def change(folder: Path, **fields: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(signed({**json.loads(path.read_text()), **fields})))


def head_file(folder: Path) -> Path:
    (found,) = folder.glob(f"{HEAD}-*.safetensors")
    return found


def test_a_loaded_predictor_predicts_the_same(saved: Path, colour_folder: Maker) -> None:
    fresh = colour_folder(name="fresh", seed=1)
    model = cp.load_predictor(saved)
    again = cp.fit(colour_folder(), None, FakeBackbone(), quiet=True)
    assert model.predict(read_dataset(fresh)) == again.predict(read_dataset(fresh))
    assert {file.name for file in saved.iterdir()} == {
        MANIFEST,
        head_file(saved).name,
        "report.html",
        "splits.csv",
    }


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


@pytest.mark.parametrize("part", [MANIFEST, HEAD])
@pytest.mark.parametrize("damage", ["remove", "truncate", "empty"])
def test_a_damaged_predictor_is_refused(saved: Path, part: str, damage: str) -> None:
    path = saved / MANIFEST if part == MANIFEST else head_file(saved)
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "truncate" else b"")
    with pytest.raises(PredictorError, match="can't be loaded as a predictor"):
        cp.load_predictor(saved)


@pytest.mark.parametrize("part", [MANIFEST, HEAD])
def test_no_flipped_bit_goes_unseen(saved: Path, part: str) -> None:
    """100 bits of each file: refused, or (white space in JSON) the same predictor."""
    path = saved / MANIFEST if part == MANIFEST else head_file(saved)
    whole, expected = path.read_bytes(), cp.load_predictor(saved)
    random = np.random.default_rng(0)
    n_refused = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found = cp.load_predictor(saved)
        except PredictorError:
            n_refused += 1
        else:
            assert found.classes == expected.classes
            assert found.trained_on == expected.trained_on
            np.testing.assert_array_equal(found.head.coef_, expected.head.coef_)
    assert n_refused >= 80


def test_classes_in_another_order_are_refused(saved: Path) -> None:
    path = saved / MANIFEST
    fields = json.loads(path.read_text())
    learned = fields["head"]["learned"]
    learned["classes_"] = learned["classes_"][::-1]
    path.write_text(json.dumps(fields))
    with pytest.raises(PredictorError, match="was changed after it was written"):
        cp.load_predictor(saved)


@pytest.mark.parametrize("name", ["file", "sha256", "kind", "learned", "parameters"])
def test_a_missing_field_is_refused(saved: Path, name: str) -> None:
    fields = json.loads((saved / MANIFEST).read_text())
    del fields["head"][name]
    change(saved, head=fields["head"])
    with pytest.raises(PredictorError, match=f"'{name}'"):
        cp.load_predictor(saved)


def test_saving_again_leaves_other_files_and_no_old_head(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (saved / "notes.txt").write_text("mine")
    model = cp.load_predictor(saved)
    model.head.coef_ = model.head.coef_ * 2
    monkeypatch.chdir(saved)
    model.save(".")
    assert (saved / "notes.txt").read_text() == "mine"
    np.testing.assert_array_equal(cp.load_predictor(saved).head.coef_, model.head.coef_)
    assert head_file(saved).exists()


def test_reasons_stay_with_their_items(saved: Path) -> None:
    """An item with NaN features before one that can't be decoded, in one batch."""
    model = cp.load_predictor(saved)
    scorer = model.ready()
    real = scorer._cut

    class Broken:
        converts_to, why_native = (), ""
        taps, inputs = real.taps, real.inputs

        def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
            found = real(batch)
            found[model.taps[0].name][0] = np.nan
            return found

    scorer.__dict__["_cut"] = Broken()
    found = model.predict([noisy_image(0, 1), b"", noisy_image(1, 2)])
    assert [each.reason for each in found] == [
        "features that are NaN or infinite",
        "empty file (0 bytes)",
        "",
    ]


def test_the_engine_is_compared_once_however_often_is_predicted(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not on bad items, of which nothing can be learned."""
    gates: list[str] = []

    def counted(*args: Any) -> Any:
        gates.append(args[1])
        return make_ready(*args)

    monkeypatch.setattr("cutpoint.products.predictor.scorer.make_ready", counted)
    model = cp.load_predictor(saved)
    images = [noisy_image(0, 1), noisy_image(1, 2)]
    model.predict([b"", b"junk"])
    first = model.predict(images)
    assert model.predict(images) == first
    assert model.ready().predict(images) == first
    assert gates == ["auto", "auto"]
    assert model.ready("native") is not model.ready()
    assert model.ready() is model.ready()


def test_a_card_is_saved_whole_and_what_a_later_release_adds_is_passed_over() -> None:
    card = Card(data="photos", counts={"train": 3}, evaluation={"split": "test"})
    assert Card.from_json(card.to_json() | {"younger": 1}) == card
    assert Card().to_json() == {}
    assert Card.from_json({}) == Card()


def test_another_modality_is_refused(saved: Path) -> None:
    change(saved, modality="video")
    with pytest.raises(ModalityError, match='items of kind "video"'):
        cp.load_predictor(saved)


def test_another_class_set_is_refused(saved: Path) -> None:
    fields = json.loads((saved / MANIFEST).read_text())
    learned = {**fields["head"]["learned"], "classes_": ["red", "green"]}
    change(saved, head={**fields["head"], "learned": learned})
    with pytest.raises(PredictorError, match="2 outputs for weights"):
        cp.load_predictor(saved)


def test_a_later_format_and_missing_fields_are_refused(saved: Path) -> None:
    change(saved, format=2)
    with pytest.raises(PredictorError, match="Its format is 2"):
        cp.load_predictor(saved)


def test_a_backbone_with_other_weights_is_refused(saved: Path) -> None:
    with pytest.raises(PredictorError, match="weights_sha256 was"):
        cp.load_predictor(saved, FakeBackbone(1))


def test_the_backbone_is_found_by_its_name(saved: Path) -> None:
    assert cp.load_predictor(saved).backbone.spec.id == "fake:seed0"


@pytest.fixture
def with_pca(colour_folder: Maker, tmp_path: Path) -> Path:
    recipe = "gap | concat | pca(5, whiten)"
    cp.fit(colour_folder(), tmp_path / "p.cutpoint", FakeBackbone(), recipe=recipe, quiet=True)
    return tmp_path / "p.cutpoint"


def rewrite(folder: Path, edit: Callable[[dict, dict], object]) -> None:
    """Change fields and arrays, and sign them as `save` would."""
    path, old = folder / MANIFEST, head_file(folder)
    fields, arrays = json.loads(path.read_text()), load_file(old)
    edit(fields, arrays)
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    fields["head"]["sha256"] = hashlib.sha256(data).hexdigest()
    old.write_bytes(data)
    path.write_text(json.dumps(signed(fields)))


PCA, COEF = "recipe.after.0.components_", "head.coef_"
L2 = {"kind": "l2", "parameters": {}, "learned": {}, "place": "after.1"}


EDITS: tuple[Callable[[dict, dict], object], ...] = (
    lambda fields, arrays: arrays.pop(PCA),
    lambda fields, arrays: arrays.update({PCA: np.ones((5, 3))}),
    lambda fields, arrays: arrays.update({PCA: arrays[PCA][:3]}),
    lambda fields, arrays: arrays.update({"recipe.after.0.mean_": np.ones(3)}),
    lambda fields, arrays: arrays.update({COEF: np.full_like(arrays[COEF], np.nan)}),
    lambda fields, arrays: fields["recipe"]["after"].append(L2),
    lambda fields, arrays: fields["recipe"].update(text="foo | bar"),
    lambda fields, arrays: fields["recipe"].update(taps=["nolayer/gap"]),
    lambda fields, arrays: fields["recipe"].update(before=[]),
    lambda fields, arrays: fields["head"]["learned"].update(temperature_=0),
    lambda fields, arrays: fields["head"]["learned"].update(temperature_="x"),
    lambda fields, arrays: fields["head"]["learned"].update(classes_=["a", "a", "a"]),
    lambda fields, arrays: fields.update(storage="fp8"),
    lambda fields, arrays: fields.pop("modality"),
    lambda fields, arrays: fields.update(card=[]),
    lambda fields, arrays: fields.update(precision="int4"),
    lambda fields, arrays: fields.update(precision="int8"),
    lambda fields, arrays: arrays.update({"network.int8": np.zeros(9, np.uint8)}),
)


def test_a_signed_predictor_whose_parts_do_not_fit_is_refused(
    with_pca: Path, tmp_path: Path
) -> None:
    for number, edit in enumerate(EDITS):
        changed = tmp_path / f"{number}"
        shutil.copytree(with_pca, changed)
        rewrite(changed, edit)
        with pytest.raises(PredictorError, match="can't be loaded as a predictor"):
            cp.load_predictor(changed)


GOLDEN = Path(__file__).parents[2] / "golden"


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


def test_a_predictor_in_int8_carries_its_own_network(tmp_path: Path) -> None:
    """A small network of PyTorch; two of its taps are stored, the predictor is cut at one."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 16, 3)
    spec = PreprocessSpec(16, 16, "bilinear", (127.5,) * 3, (127.5,) * 3)
    backbone = cp.load(torch.nn.Sequential(*layers), spec)
    data = [noisy_image(row % 2, row) for row in range(40)]
    labels, splits = [f"c{row % 2}" for row in range(40)], ["train"] * 30 + ["test"] * 10
    options = {"labels": labels, "splits": splits, "store": tmp_path / "s", "quiet": True}
    options |= {"taps": [1, 2], "pool": "gap", "strategy": "single"}
    model = cp.fit(data, tmp_path / "m", backbone, precision="int8", **options)
    shutil.rmtree(tmp_path / "s")
    again = cp.load_predictor(tmp_path / "m", backbone)
    assert (again.precision, again.network, len(again.taps)) == ("int8", model.network, 1)
    found = again.predict(data[30:])
    assert [each.label for each in found] == labels[30:]
    assert found == model.predict(data[30:])
    assert found != replace(again, network=b"", precision="fp32").predict(data[30:])
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        again.predict(data[30:], engine="native")


PREDICTOR_V1 = GOLDEN / "predictor-v1"


def _places(fields: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the paths of all values in JSON, of lists the first."""
    pairs: list[tuple[object, object]] = []
    if isinstance(fields, dict):
        pairs = list(fields.items())
    elif isinstance(fields, list):
        pairs = list(enumerate(fields[:1]))
    return [at, *(place for key, value in pairs for place in _places(value, (*at, key)))]


def _deep() -> list[object]:
    found: list[object] = []
    for _ in range(50):
        found = [found]
    return found


WRONG = (None, "", "x\0y", "../x", "\ud800", -1, 1.5, 10**30, float("nan"), float("inf"), True)
WRONG_SHAPES = ([], [1, 2], {}, {"a": 1}, _deep())


def test_whatever_a_signed_manifest_holds_is_refused_or_predicts(tmp_path: Path) -> None:
    """Signed again after each change, as someone would who means harm."""
    fields = json.loads((PREDICTOR_V1 / MANIFEST).read_text())
    skipped = {("sha256",), ("trained_on", 0)}
    places = [p for p in _places(fields) if p and p not in skipped and p[:2] != ("card", "ranking")]
    changes = [(place, wrong) for place in places for wrong in (*WRONG, *WRONG_SHAPES)]
    folder = shutil.copytree(PREDICTOR_V1, tmp_path / "m")
    n_refused = 0
    for place, wrong in random.Random(0).sample(changes, 250):
        changed = copy.deepcopy(fields)
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = wrong
        (folder / MANIFEST).write_text(json.dumps(signed(changed)))
        try:
            cp.load_predictor(folder).predict(np.zeros((1, 16, 16, 3), np.uint8))
        except CutpointError:
            n_refused += 1
    assert n_refused > 100


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_learned_arrays_that_are_not_finite_are_refused_when_loading(
    tmp_path: Path, value: float
) -> None:
    arrays = load_file(next(PREDICTOR_V1.glob(f"{HEAD}-*")))
    head = json.loads((PREDICTOR_V1 / MANIFEST).read_text())["head"]
    for name in arrays:
        folder = shutil.copytree(PREDICTOR_V1, tmp_path / name)
        wrong = {each: array.copy() for each, array in arrays.items()}
        wrong[name].flat[0] = value
        data = save(wrong)
        head_file(folder).write_bytes(data)
        change(folder, head={**head, "sha256": hashlib.sha256(data).hexdigest()})
        with pytest.raises(PredictorError, match="holds NaN or infinity"):
            cp.load_predictor(folder)


def test_deviations_that_are_not_finite_are_refused_when_loading(tmp_path: Path) -> None:
    folder = shutil.copytree(PREDICTOR_V1, tmp_path / "m")
    backbone = json.loads((PREDICTOR_V1 / MANIFEST).read_text())["backbone"]
    for std in ([float("nan")] * 3, [0, 1, 1], [1, 1]):
        backbone["preprocess"]["std"] = std
        change(folder, backbone=backbone)
        with pytest.raises(PredictorError, match="its backbone is misspelt"):
            cp.load_predictor(folder)


def test_a_predictor_pools_padded_items_as_when_it_was_fitted(tmp_path: Path) -> None:
    """One saved before pools knew padding says no revision, and is fed what it was fitted on."""
    ids, lengths = sentences(120)
    labels = np.where(np.array(lengths) > 4, "long", "short").tolist()
    options = {"pool": ["gmp"], "taps": "tokens", "store": tmp_path / "s", "quiet": True}
    model = cp.fit(ids, tmp_path / "new", Sentences(), labels=labels, **options)
    loaded = cp.load_predictor(tmp_path / "new", backbone=Sentences())
    assert [tap.revision for tap in (*model.taps, *loaded.taps)] == [2, 2]
    manifest = json.loads((tmp_path / "new" / MANIFEST).read_text())
    assert manifest.pop("revision") == 2
    old = shutil.copytree(tmp_path / "new", tmp_path / "old")
    (old / MANIFEST).write_text(json.dumps(signed(manifest)))
    before = cp.load_predictor(old, backbone=Sentences())
    now, then = (each.backbone.cut_at(each.taps)(ids) for each in (loaded, before))
    tokens = Sentences().network[ids]
    np.testing.assert_array_equal(then["tokens/gmp"], tokens.max(1))
    without = np.where(ids[:, :, None] > 0, tokens, -np.inf).max(1)
    np.testing.assert_array_equal(now["tokens/gmp"], without)
    for wrong in (3, 0, "2", [2]):
        change(old, revision=wrong)
        with pytest.raises(PredictorError, match="its pools are of revision"):
            cp.load_predictor(old, backbone=Sentences())


def test_a_manifest_nested_too_deep_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(PREDICTOR_V1, tmp_path / "m")
    (folder / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(PredictorError, match="can't be read"):
        cp.load_predictor(folder)


def test_a_predictor_of_a_later_format_asks_to_upgrade(tmp_path: Path) -> None:
    folder = shutil.copytree(PREDICTOR_V1, tmp_path / "m")
    change(folder, format=2)
    with pytest.raises(PredictorError, match="pip install --upgrade cutpoint-ml"):
        cp.load_predictor(folder)


def test_what_is_saved_is_of_the_first_format(saved: Path) -> None:
    """The only one that releases so far read; a later one would be refused by them."""
    assert json.loads((saved / MANIFEST).read_text())["format"] == 1


def test_the_advice_where_something_else_lies_is_never_within_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the data: a predictor in it would be a class of its own next time."""
    photos = tmp_path / "my photos"
    write_image(photos / "cat" / "0.png", noisy_image(0, 0))
    monkeypatch.chdir(tmp_path)
    asked = {
        photos: "'my photos.cutpoint'",
        photos / "cat" / "0.png": "model.cutpoint",
        Path("my photos/cat"): "cat.cutpoint",
        tmp_path: f"../{tmp_path.name}.cutpoint",
        Path("/"): "model.cutpoint",
    }
    for place, advised in asked.items():
        with in_shell(), pytest.raises(UsageError) as caught:
            refuse_foreign(place)
        assert caught.value.type_next == f"Type, for example:  -o {advised}"


def test_pipes_and_devices_are_no_predictor(tmp_path: Path, colour_folder: Maker) -> None:
    """Reading one would never end."""
    model = tmp_path / "m"
    cp.fit(colour_folder(per_class=6), model, FakeBackbone(), quiet=True)
    (arrays,) = model.glob("head-*.safetensors")
    arrays.unlink()
    arrays.symlink_to("/dev/zero")
    with pytest.raises(PredictorError, match="no file"):
        cp.load_predictor(model)
    (model / "predictor.json").unlink()
    os.mkfifo(model / "predictor.json")
    with pytest.raises(PredictorError, match="no file"):
        cp.load_predictor(model)
