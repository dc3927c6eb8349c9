"""From items to a predictor, with everything that goes wrong on the way."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import cutpoint as cp
from cutpoint.base.errors import DataError, TooManyBadItems, UsageError
from cutpoint.cli.app import app
from cutpoint.features.extraction.request import default_store
from cutpoint.features.store import FeatureStore
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image, write_image
from tests.unit.features.store.helpers import CountingBackbone, images

Maker = Callable[..., Path]


def fit(data: object, output: Path | None = None, **options: object) -> cp.predictor.Predictor:
    backbone = options.pop("backbone", FakeBackbone())
    return cp.fit(data, output, backbone, quiet=True, **options)


def bad_rows(folder: Path) -> dict[str, str]:
    with (folder / "bad_rows.csv").open(newline="", errors="surrogateescape") as file:
        return {row["key"]: row["reason"] for row in csv.DictReader(file)}


def test_a_folder_of_classes_gives_a_predictor_that_beats_chance_by_far(
    colour_folder: Maker, tmp_path: Path
) -> None:
    model = fit(colour_folder(per_class=40), tmp_path / "m")
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.9
    assert model.card.counts == {"train": 96, "test": 24}
    ranking = model.card.ranking
    (taken,) = [each for each in ranking["candidates"] if each["tap"] == ranking["taken"]]
    assert taken["taps"] == [tap.name for tap in model.taps]
    with (tmp_path / "m" / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 120
    assert {row["split"] for row in rows} == {"train", "test"}


def test_the_second_fit_calls_the_network_no_time_and_gives_the_same(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder = colour_folder()
    first = fit(folder)
    counting = CountingBackbone()
    second = fit(folder, backbone=counting)
    assert counting.n_forward == 0
    assert second.card.extraction["n_forward"] == 0
    assert second.card.ranking == first.card.ranking
    np.testing.assert_array_equal(second.head.coef_, first.head.coef_)


def test_ten_new_photos_are_ten_forwards(colour_folder: Maker) -> None:
    folder = colour_folder()
    fit(folder)
    for number in range(10):
        write_image(folder / "red" / f"new{number}.png", noisy_image(0, 777 + number))
    counting = CountingBackbone()
    fit(folder, backbone=counting)
    assert counting.n_forward == 10


def test_bad_photos_are_quarantined_and_the_run_goes_on(
    colour_folder: Maker, tmp_path: Path
) -> None:
    """Cases 1, 2, 3, 15 and 19 of bad-inputs.md in one folder."""
    folder = colour_folder(per_class=40)
    whole = (folder / "red" / "001.png").read_bytes()
    (folder / "red" / "empty.jpg").write_bytes(b"")
    (folder / "red" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "red" / "=text.png").write_text("hello")
    (folder / "red" / "doc.pdf").write_bytes(b"%PDF-1.7")
    (folder / "red" / "Thumbs.db").write_bytes(b"x")
    model = fit(folder, tmp_path / "m", max_bad=0.05)
    found = bad_rows(tmp_path / "m")
    assert set(found) == {"red/empty.jpg", "red/cut.png", "red/=text.png", "red/doc.pdf"}
    assert found["red/doc.pdf"].startswith("PDF")
    assert model.card.n_quarantined == 4
    assert model.card.counts["train"] + model.card.counts["test"] == 120
    report = (tmp_path / "m" / "report.html").read_text()
    assert "Quarantined (4)" in report


def test_a_clean_run_leaves_no_list_of_bad_rows_behind(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder = colour_folder()
    (folder / "red" / "bad.png").write_bytes(b"")
    fit(folder, tmp_path / "m", max_bad=0.1)
    assert (tmp_path / "m" / "bad_rows.csv").exists()
    (folder / "red" / "bad.png").unlink()
    fit(folder, tmp_path / "m")
    assert not (tmp_path / "m" / "bad_rows.csv").exists()


def test_too_many_bad_photos_stop_the_run_and_nothing_is_lost(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder = colour_folder()
    for number in range(5):
        (folder / "red" / f"bad{number}.png").write_bytes(b"junk")
    with pytest.raises(TooManyBadItems, match="max_bad=1"):
        fit(folder, tmp_path / "m")
    assert "red/bad0.png" in bad_rows(tmp_path / "m")
    counting = CountingBackbone()
    fit(folder, tmp_path / "m", max_bad=0.2, backbone=counting)
    n_stored = sum(
        len(FeatureStore(default_store()).places(s))
        for s in FeatureStore(default_store()).catalog.specs()
    )
    assert n_stored == 60


def test_case_20_equal_photos_across_splits_warn_and_are_left_out_of_the_score(
    colour_folder: Maker, tmp_path: Path
) -> None:
    source = colour_folder(per_class=30)
    root = tmp_path / "split"
    for split, numbers in (("train", range(20)), ("test", range(18, 30))):
        for label in ("red", "green", "blue"):
            for number in numbers:
                to = root / split / label / f"{split}{number}.png"
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / label / f"{number:03d}.png", to)
    model = fit(root, tmp_path / "m")
    assert any(w.startswith("LEAKAGE: 6 payloads") for w in model.card.warnings)
    assert model.card.evaluation["n_left_out"] == 6
    assert model.card.evaluation["scores"]["n_items"] == 30
    assert "LEAKAGE" in (tmp_path / "m" / "report.html").read_text()


def test_equal_photos_under_two_labels_are_listed(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder(per_class=10)
    shutil.copy(folder / "red" / "001.png", folder / "green" / "copy.png")
    shutil.copy(folder / "red" / "002.png", folder / "red" / "copy.png")
    features = cp.extract(folder, FakeBackbone(), store=tmp_path / "s", quiet=True)
    (told,) = [w for w in features.warnings if w.startswith("CONFLICT")]
    listed = "green/copy.png (green) = red/001.png (red)"
    assert told.startswith(f"CONFLICT: 1 payloads have several labels: {listed}. Only one can be")
    assert "for example:  rm " in told


def test_groups_given_beside_a_folder_keep_patients_apart(
    colour_folder: Maker, tmp_path: Path
) -> None:
    """They were dropped without a word, so a patient's photos were on both sides."""
    folder = colour_folder(per_class=20)
    keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
    groups = {key: f"p{int(Path(key).stem) // 4}" for key in keys}
    fit(folder, tmp_path / "m", groups=groups)
    with (tmp_path / "m" / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(groups[row["key"]], set()).add(row["split"])
    assert len(sides) == 5
    assert all(len(side) == 1 for side in sides.values())
    with pytest.raises(UsageError, match="matched by position"):
        fit(folder, groups=["p"] * 60)


def test_case_21_a_file_that_changes_or_goes_during_the_run_is_quarantined(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder = colour_folder(per_class=40)

    class Meddler(FakeBackbone):
        """Changes files between planning and computing."""

        def cut_at(self, taps: object) -> object:
            (folder / "red" / "039.png").unlink()
            write_image(folder / "red" / "038.png", noisy_image(1, 4242))
            return super().cut_at(taps)

    fit(folder, tmp_path / "m", backbone=Meddler(), max_bad=0.05)
    found = bad_rows(tmp_path / "m")
    assert found["red/039.png"] == "file not found"
    assert "digest differs" in found["red/038.png"]


def test_case_21_a_file_that_keeps_changing_never_gives_a_wrong_row(
    colour_folder: Maker, tmp_path: Path
) -> None:
    folder = colour_folder(per_class=40)
    victim, stop = folder / "red" / "005.png", threading.Event()
    versions = [noisy_image(0, 5000 + seed, side=20) for seed in range(50)]

    def keep_changing() -> None:
        while not stop.is_set():
            for pixels in versions:
                scratch = tmp_path / "scratch.png"
                write_image(scratch, pixels)
                os.replace(scratch, victim)
                time.sleep(0.0005)

    thread = threading.Thread(target=keep_changing)
    thread.start()
    try:
        features = cp.extract(folder, FakeBackbone(), store=tmp_path / "s", max_bad=0.5, quiet=True)
    finally:
        stop.set()
        thread.join()
    cut = FakeBackbone().cut_at(features.spec.taps)
    from cutpoint.items.kinds.image import prepare_image
    from cutpoint.items.reading import digest_payload

    by_digest = {}
    for pixels in versions:
        write_image(tmp_path / "v.png", pixels)
        data = (tmp_path / "v.png").read_bytes()
        by_digest[digest_payload(data)] = prepare_image(data, features.spec.backbone.preprocess)[0]
    n_checked = sum(digest in by_digest for digest in features.digests)
    assert n_checked + len(features.quarantined) == 1  # a true row of one version, or none
    for row, digest in enumerate(features.digests):
        if digest in by_digest:
            expected = cut(by_digest[digest][None])["conv3/gap"][0]
            np.testing.assert_allclose(features.X("conv3/gap")[row], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "what"),
    [
        ("one class", "of one class"),
        ("lone item", "one item only"),
        ("other classes", "lacks"),
        ("no labels", "None of its 4 items has one"),
        ("train only", "nothing is left to score"),
    ],
)
def test_data_that_can_not_be_scored_is_refused_before_any_extraction(
    colour_folder: Maker, tmp_path: Path, layout: str, what: str
) -> None:
    folder = colour_folder(per_class=4)
    if layout == "one class":
        shutil.rmtree(folder / "red")
        shutil.rmtree(folder / "blue")
    elif layout == "lone item":
        for file in list((folder / "red").iterdir())[1:]:
            file.unlink()
    elif layout == "no labels":
        folder = folder / "red"
    else:
        root = tmp_path / "split"
        shutil.copytree(folder, root / "train")
        if layout == "other classes":
            shutil.copytree(folder, root / "test")
            shutil.rmtree(root / "test" / "red")
        folder = root
    counting = CountingBackbone()
    with pytest.raises(DataError, match=what):
        fit(folder, backbone=counting)
    assert counting.n_forward == 0


def test_a_class_that_loses_its_last_training_photo_is_told(
    colour_folder: Maker, tmp_path: Path
) -> None:
    source = colour_folder(per_class=6)
    for split in ("train", "test"):
        shutil.copytree(source, tmp_path / "d" / split)
        for file in (tmp_path / "d" / split / "red").iterdir():
            if int(file.stem) != (0 if split == "train" else 1):
                file.unlink()
    (tmp_path / "d" / "train" / "red" / "000.png").write_bytes(b"junk")
    with pytest.raises(DataError, match="has red that train lacks"):
        fit(tmp_path / "d", max_bad=0.5)


def test_a_test_split_that_is_the_training_split_is_told(
    colour_folder: Maker, tmp_path: Path
) -> None:
    source = colour_folder(per_class=6)
    for split in ("train", "test"):
        shutil.copytree(source, tmp_path / "d" / split)
    with pytest.raises(DataError, match="same bytes as training items"):
        fit(tmp_path / "d")


def test_odd_class_names_do_not_break_the_report(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder(per_class=20)
    (folder / "red").rename(folder / "$\\frac$")
    os.rename(folder / "blue", os.fsencode(folder) + b"/bl\xe9u")
    model = fit(folder, tmp_path / "m")
    assert cp.load_predictor(tmp_path / "m").classes == model.classes
    assert "frac" in (tmp_path / "m" / "report.html").read_text()


def test_pil_images_files_and_arrays_of_one_photo_give_the_same_features(tmp_path: Path) -> None:
    photo = Image.fromarray(noisy_image(0, 5))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.png", exif=exif)
    photo.quantize(8).save(tmp_path / "palette.png")
    photo.convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in ("turned.png", "palette.png", "cmyk.tif"):
        data = [tmp_path / name, Image.open(tmp_path / name), (tmp_path / name).read_bytes()]
        rows = cp.extract(data, FakeBackbone(), store=tmp_path / "s", quiet=True).X("conv3/gap")
        np.testing.assert_array_equal(rows[0], rows[1])
        np.testing.assert_array_equal(rows[0], rows[2])


def test_labelled_data_that_can_not_be_split_is_extracted_all_the_same(tmp_path: Path) -> None:
    features = cp.extract(
        [noisy_image(0, 1), noisy_image(1, 2)], FakeBackbone(), labels=["a", "b"], quiet=True
    )
    assert list(features.labels) == ["a", "b"]


def test_groups_of_a_manifest_stay_together(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder(per_class=30)
    lines = ["path,label,group"]
    for file in sorted(folder.rglob("*.png")):
        lines.append(f"{file.relative_to(tmp_path)},{file.parent.name},p{int(file.stem) // 3}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    model = fit(tmp_path / "m.csv", tmp_path / "m")
    with (tmp_path / "m" / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    splits: dict[int, set[str]] = {}
    for row in rows:
        splits.setdefault(int(Path(row["key"]).stem) // 3, set()).add(row["split"])
    assert all(len(names) == 1 for names in splits.values())
    assert model.card.ranking["is_grouped"]


def test_arrays_and_lists_are_data_too() -> None:
    pixels = np.stack([noisy_image(row % 3, row) for row in range(60)])
    model = fit(pixels, labels=["r", "g", "b"] * 20)
    assert model.classes == ("b", "g", "r")
    assert cp.predict(model, [noisy_image(1, 999)], quiet=True)[0].label == "g"


def test_odd_names_survive_from_folder_to_report(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder(per_class=30)
    os.rename(folder / "red" / "000.png", os.fsencode(folder / "red") + b"/caf\xe9 \n<b>.png")
    os.rename(folder / "blue" / "000.png", os.fsencode(folder / "blue") + b"/bad\xe9.png")
    (folder / "blue" / os.fsdecode(b"bad\xe9.png")).write_bytes(b"")
    fit(folder, tmp_path / "m", max_bad=0.1)
    assert list(bad_rows(tmp_path / "m")) == [os.fsdecode(b"blue/bad\xe9.png")]
    report = (tmp_path / "m" / "report.html").read_text()
    assert "bad\\udce9.png" in report
    assert "<b>.png" not in report


def repeated(folder: Path) -> str:
    """Return what the report of a fit says to repeat it with."""
    (text,) = re.findall(r"<pre>(.*?)</pre>", (folder / "report.html").read_text(), re.DOTALL)
    return html.unescape(text)


def test_the_report_repeats_the_exact_command(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder()
    fit(folder, tmp_path / "m o", seed=3, pool="gmp", store=tmp_path / "s", taps="conv[12]")
    assert "--tap 'conv[12]' --pool gmp" in repeated(tmp_path / "m o")
    assert "--seed 3" in repeated(tmp_path / "m o")


def test_what_the_report_says_to_type_gives_the_same_predictor(
    colour_folder: Maker, tmp_path: Path
) -> None:
    """A backbone remembers how it was loaded, so that a fit from Python can be typed."""
    folder, recipe = colour_folder(), tmp_path / "p.json"
    spec = replace(FakeBackbone().spec.preprocess, mean=(100.0, 110.0, 120.0))
    recipe.write_text(json.dumps(spec.to_json()))
    backbone = cp.load("fake:seed5", str(recipe), trust_weights=True, decode="scaled")
    model = fit(
        folder, tmp_path / "a", backbone=backbone, pool=["gap", "gmp"], seed=2, max_bad=0.2,
        recipe="l2 | power(0.5)", head="logistic(C=3)", strategy="single", storage="fp16",
        store=tmp_path / "s", engine="native", follow_links=True, allow_group_overlap=True,
    )  # fmt: skip
    said = repeated(tmp_path / "a")
    for words in (
        f"--preprocess {recipe}",
        "--decode scaled",
        "--trust-weights",
        "--engine native",
    ):
        assert words in said
    command = [tmp_path / "b" if w == str(tmp_path / "a") else w for w in shlex.split(said)]
    found = CliRunner().invoke(app, [str(word) for word in command[1:]])
    assert found.exit_code == 0, found.output
    again = cp.load_predictor(tmp_path / "b", trust_weights=True)
    assert repeated(tmp_path / "b").replace(str(tmp_path / "b"), str(tmp_path / "a")) == said
    assert again.backbone.spec == model.backbone.spec
    files = sorted(folder.rglob("*.png"))[:5]
    assert cp.predict(again, files, quiet=True) == cp.predict(model, files, quiet=True)


def test_what_no_command_line_can_say_is_repeated_in_python(
    colour_folder: Maker, tmp_path: Path
) -> None:
    spec = FakeBackbone().spec.preprocess
    folder = colour_folder()
    fit(folder, tmp_path / "m", backbone=cp.load("fake:seed0", spec), pool="gap", seed=4)
    said = repeated(tmp_path / "m")
    assert said.startswith(f"cp.fit({str(folder)!r}, {str(tmp_path / 'm')!r}, cp.load('fake:seed0'")
    assert f"preprocess={spec!r}" in said
    assert "pool=['gap']" in said
    names = {"cp": cp, "PreprocessSpec": type(spec)}
    again = eval(said.replace(str(tmp_path / "m"), str(tmp_path / "n")), names)
    assert again.backbone.spec.preprocess == spec
    assert again.seed == 4


def test_items_in_memory_are_not_given_as_a_path_to_repeat(tmp_path: Path) -> None:
    pixels = np.stack([noisy_image(row % 3, row) for row in range(30)])
    fit(pixels, tmp_path / "m", labels=["r", "g", "b"] * 10)
    assert "cp.fit(&lt;items in memory&gt;" in (tmp_path / "m" / "report.html").read_text()


def test_the_saved_card_is_plain_json(colour_folder: Maker, tmp_path: Path) -> None:
    model = fit(colour_folder(), tmp_path / "m")
    assert json.loads((tmp_path / "m" / "predictor.json").read_text())["card"] == json.loads(
        json.dumps(model.card.to_json())
    )


QUICK = {
    "learned_gem": "learned_gem(max_epochs=3)",
    "attention_pool": "attention_pool(n_hidden=4, max_epochs=3)",
    "efficient_probe": "efficient_probe(n_queries=4, max_epochs=3)",
}


@pytest.mark.filterwarnings("ignore:.*tells nothing about")  # three passes teach little
@pytest.mark.parametrize("kind", QUICK)
def test_a_learned_pool_trains_on_stored_maps_and_is_saved(
    colour_folder: Maker, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, backbone = colour_folder(), CountingBackbone()
    model = cp.fit(
        folder, tmp_path / "m", backbone, pool=["grid(2)", "gap"], head=QUICK[kind],
        store=tmp_path / "s",
    )  # fmt: skip
    assert f"{kind} trains on one stored map" in capsys.readouterr().err
    assert {each["tap"] for each in model.card.ranking["candidates"]} == {
        "conv1/grid(2)", "conv2/grid(2)", "conv3/grid(2)"
    }  # fmt: skip
    (tap,) = model.taps
    assert tap.name == model.card.ranking["taken"]
    assert model.head.layout == "NCHW"
    files = sorted(folder.rglob("*.png"))[:7]
    again = cp.load_predictor(tmp_path / "m")
    assert cp.predict(again, files, quiet=True) == cp.predict(model, files, quiet=True)
    # What it says of new files is what it says of stored rows: both are rounded alike.
    features = FeatureStore(tmp_path / "s").open()
    rows = [features.keys.tolist().index(str(file.relative_to(folder))) for file in files]
    stored = model.head.predict_proba(features.X(tap.name, np.array(rows)))
    direct = [each.probability for each in cp.predict(model, files, quiet=True)]
    np.testing.assert_allclose(stored.max(axis=1), direct, atol=1e-6)
    second = CountingBackbone()  # another head on the same maps: nothing is computed again
    cp.fit(folder, None, second, pool=["grid(2)", "gap"], head="learned_gem(max_epochs=1)",
           store=tmp_path / "s", quiet=True)  # fmt: skip
    assert second.n_forward == 0


@pytest.mark.filterwarnings("ignore:.*tells nothing about")  # one pass teaches nothing
def test_maps_are_ranked_by_the_mean_of_what_is_stored(colour_folder: Maker) -> None:
    """Reference: the pool gap in the graph; the maps are of half precision."""
    folder = colour_folder()
    learned = fit(folder, pool="none", head="attention_pool(n_hidden=4, max_epochs=1)")
    pooled = fit(folder, pool="gap")
    by_layer = [
        {each["tap"].split("/")[0]: each["error"] for each in model.card.ranking["candidates"]}
        for model in (learned, pooled)
    ]
    assert set(by_layer[0]) == {"conv1", "conv2", "conv3"}
    for layer, error in by_layer[0].items():
        assert error == pytest.approx(by_layer[1][layer], rel=1e-2)


def test_a_learned_pool_needs_maps_and_no_stages_before_it(colour_folder: Maker) -> None:
    with pytest.raises(UsageError, match="pooled to vectors") as caught:
        fit(colour_folder(), pool="gap", head="learned_gem")
    assert "pool='grid(4)', head='learned_gem'" in caught.value.type_next
    with pytest.raises(UsageError, match="stages are for vectors"):
        fit(colour_folder(), recipe="grid(2) | l2", head="attention_pool")


def test_leakage_is_told_and_the_score_says_on_how_many_items_it_rests(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pixels = np.concatenate([images(12), images(10)])
    labels = np.concatenate([np.arange(12) % 2, np.arange(10) % 2])
    splits = ["train"] * 12 + ["test"] * 10
    pixels[-2:] = 255 - pixels[-2:]
    model = cp.fit(pixels, backbone=FakeBackbone(), labels=labels, splits=splits)
    told = capsys.readouterr().err
    assert told.count("Warning: LEAKAGE: 8 payloads") == 1
    assert "split test, 2 items (8 trained on, left out): " in str(model)
