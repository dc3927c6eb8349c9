"""What can't be is told before any work: no forward pass, no row in a store, no file left."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from sklearn.svm import SVC

import cutpoint as cp
from cutpoint import api
from cutpoint.base.arguments import check_flags, check_share, check_writable
from cutpoint.base.errors import CutpointError, UsageError
from cutpoint.products.predictor import Predictor
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.features.store.helpers import CountingBackbone

Maker = Callable[..., Path]

RUN: list[dict[str, Any]] = [
    {"engine": "cuda"},
    {"engine": None},
    {"engine": "onnxruntime"},  # there is one of that name, which fakes can't be converted for
    {"n_workers": 0},
    {"n_workers": -2},
    {"n_workers": 1.5},
    {"max_bad": -0.1},
    {"max_bad": 2},
    {"max_bad": float("nan")},
    {"max_bad": "few"},
    {"seed": -1},
    {"seed": 2**32},
    {"seed": 0.5},
    {"taps": "conv9"},
    {"taps": 7},
    {"pool": "gapp"},
    {"pool": "gem(0)"},
    {"pool": 3},
    {"pool": []},
    {"storage": "fp8"},
    {"precision": "int4"},
    {"precision": "bf16", "engine": "native"},
    {"store": 3},
    {"store": ""},
    {"store": __file__},
    {"store": f"{__file__}/below"},
    {"backbone": "fake"},
    {"groups": ["p"] * 60},
    {"labels": ["x"] * 3},
    {"splits": {"red/000.png": "train"}},
]
FIT: list[dict[str, Any]] = [
    {"head": SVC()},
    {"head": "svc"},
    {"head": "knn(k=0)"},
    {"head": cp.heads.HEADS["knn"](k=-1)},
    {"head": "ridge(alphas=-1)"},
    {"head": "centroid(metric=taxi)"},
    {"head": "logistic(C=0)"},
    {"head": "svm(C=-1)"},
    {"head": "learned_gem"},
    {"head": "learned_gem", "pool": "grid(2)", "strategy": "greedy"},
    {"recipe": "gapp"},
    {"recipe": 3},
    {"recipe": "gem | l2", "pool": "gap"},
    {"recipe": "stages(2) | gap | concat", "taps": "conv1"},
    {"recipe": "stages(9) | gap | concat"},
    {"strategy": "best"},
    {"strategy": ()},
    {"strategy": None},
    {"protocol": "dino"},
    {"protocol": "dinov2-knn", "head": "svm"},
    {"output": "."},
    {"output": "/"},
    {"output": 3},
    {"output": ""},
    {"output": __file__},
    {"output": f"{__file__}/below"},
    {"output": "/proc/nobody/may"},
]
DATA: list[Any] = [
    None,
    3,
    b"bytes of one file",
    Image.new("RGB", (20, 20)),
    noisy_image(0, 1),
    noisy_image(0, 1)[..., 0],
    np.zeros((4, 20, 20, 3), np.float32),
    np.zeros((4, 3, 20, 20), np.uint8),
    np.zeros((4, 20, 20, 1), np.uint8),
    [np.zeros((20, 20, 3)), np.ones((20, 20, 3))],
    pandas.DataFrame({"path": ["a"], "label": ["b"]}),
    {"a": 1},
    "nowhere",
    __file__,
    [],
    [1.5],
]


class Idle:
    """A backbone that was never asked for a feature, and folders where nothing was written."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backbone = CountingBackbone()
        self.here = folder / "here"
        self.here.mkdir()
        (self.here / "mine.txt").write_text("kept")
        monkeypatch.chdir(self.here)
        monkeypatch.setenv("CUTPOINT_STORE", str(folder / "store"))
        self._store = folder / "store"

    def refuses(self, call: Callable[..., Any], *given: Any, **options: Any) -> CutpointError:
        with pytest.raises(CutpointError) as caught:
            call(*given, **options)
        assert len(str(caught.value).split("\n")) == 4
        assert self.backbone.n_forward == 0
        assert not self._store.exists()
        assert os.listdir(self.here) == ["mine.txt"]
        return caught.value


@pytest.fixture
def idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Idle:
    return Idle(tmp_path, monkeypatch)


def spelled(options: Any) -> str:
    return re.sub(" at 0x[0-9A-F]+", "", str(options))[:60]  # workers must agree


@pytest.mark.parametrize("options", RUN, ids=spelled)
def test_extract_refuses_first(idle: Idle, colour_folder: Maker, options: dict[str, Any]) -> None:
    given = {"backbone": idle.backbone, **options}
    idle.refuses(cp.extract, colour_folder(per_class=3), quiet=True, **given)


@pytest.mark.parametrize("options", RUN + FIT, ids=spelled)
def test_fit_refuses_first(idle: Idle, colour_folder: Maker, options: dict[str, Any]) -> None:
    given = {"backbone": idle.backbone, **options}
    idle.refuses(cp.fit, colour_folder(per_class=3), quiet=True, **given)


@pytest.mark.parametrize("data", DATA, ids=spelled)
def test_data_that_is_none_is_refused_first(idle: Idle, data: Any) -> None:
    labels = ["a", "b", "a", "b"][: len(data)] if isinstance(data, np.ndarray | list) else None
    for call in (cp.extract, cp.fit):
        found = idle.refuses(call, data, backbone=idle.backbone, labels=labels, quiet=True)
        assert "--max-bad" not in str(found)


def test_arrays_that_are_no_images_are_told_what_makes_them_some(idle: Idle) -> None:
    for data, what in (
        (np.zeros((4, 20, 20, 3), np.float32), '(255 * images).round().astype("uint8")'),
        (np.full((4, 20, 20, 3), 99.0), 'images.astype("uint8")'),
        (np.zeros((4, 3, 20, 20), np.uint8), "images.transpose(0, 2, 3, 1)"),
        (np.zeros((4, 20, 20, 1), np.uint8), "images[..., 0]"),
    ):
        found = idle.refuses(cp.extract, data, idle.backbone, quiet=True)
        assert found.type_next == f"Type, for example:  {what}"


@pytest.fixture
def model(colour_folder: Maker, tmp_path: Path) -> Predictor:
    store = tmp_path / "its own"
    return cp.fit(colour_folder(per_class=6), None, FakeBackbone(), store=store, quiet=True)


def test_evaluate_and_predict_refuse_first(
    model: Predictor, idle: Idle, colour_folder: Maker
) -> None:
    model = replace(model, backbone=idle.backbone)
    new = colour_folder(per_class=2, name="new", seed=1)
    bare = Predictor(idle.backbone, model.recipe, model.head)
    for call, given in (
        (cp.evaluate, (model, new, "tset")),
        (cp.evaluate, (model, new, 3)),
        (cp.evaluate, (3, new)),
        (cp.evaluate, ("nowhere", new)),
        (cp.evaluate, (model, "nowhere")),
        (cp.evaluate, (model, noisy_image(0, 1))),
        (cp.predict, (None, new)),
        (cp.predict, (model, None)),
        (cp.predict, (model, 3)),
        (cp.predict, (model, np.zeros((4, 20, 20, 3), np.float32))),
        (cp.load_predictor, (3,)),
        (model.save, (None,)),
        (model.save, ("/",)),
        (model.save, (".",)),
    ):
        quiet = {} if call in (model.save, cp.load_predictor) else {"quiet": True}
        idle.refuses(call, *given, **quiet)
    for options in (
        {"engine": "cuda"},
        {"report": "."},
        {"report": "/"},
        {"report": 3},
        {"report": f"{__file__}/r.html"},
        {"groups": ["p"]},
        {"trust_weights": True},
        {"split": "train", "leave_out_trained": True},
    ):
        idle.refuses(cp.evaluate, model, new, quiet=True, **options)
    for options in ({"engine": "cuda"}, {"n_workers": 0}, {"trust_weights": True}):
        idle.refuses(cp.predict, model, new, quiet=True, **options)
    idle.refuses(cp.evaluate, bare, new, "all", report="r.html", quiet=True)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "numbers"},
        {"strategy": "best"},
        {"recipe": "gapp"},
        {"permute_labels": -1},
        {"permute_labels": 0.5},
        {"kind": "values", "balanced": True},
        {"kind": "values", "strategy": "head2toe"},
        {"data": None},
        {"data": 3},
        {"data": "nowhere"},
        {"backbones": ["fake:seed0"], "data": "nowhere"},
        {"data": "nowhere", "data_set": "mine"},
        {"data": [b"a", b"b"], "labels": [0, 1], "backbones": []},
        {"data": [b"a", b"b"], "labels": [0, 1], "backbones": "fake:seed0"},
    ],
    ids=spelled,
)
def test_choose_refuses_first(idle: Idle, colour_folder: Maker, options: dict[str, Any]) -> None:
    idle.refuses(cp.choose, **{"data": "nothing is read", **options}, quiet=True)


@pytest.mark.parametrize(
    "options",
    [{"preprocess": "imagenet"}, {"trust_weights": True}, {"build": list}, {"decode": "fast"}],
    ids=spelled,
)
def test_load_ignores_nothing_beside_a_backbone(idle: Idle, options: dict[str, Any]) -> None:
    idle.refuses(cp.load, idle.backbone, **options)


def test_image_distance_refuses_first(idle: Idle) -> None:
    image = noisy_image(0, 1)
    idle.refuses(cp.style.image_distance, image, image, "fake:seed0")
    idle.refuses(cp.style.image_distance, image, b"junk", idle.backbone)
    idle.refuses(cp.style.image_distance, image, None, idle.backbone)
    idle.refuses(cp.style.image_distance, image, image, idle.backbone, style=["conv9"])


def test_an_engine_that_can_not_be_had_is_told_though_all_is_stored(
    colour_folder: Maker, tmp_path: Path
) -> None:
    """Exit code 0 once, as no engine was needed."""
    folder, store = colour_folder(per_class=3), tmp_path / "s"
    cp.extract(folder, FakeBackbone(), store=store, quiet=True)
    for engine in ("cuda", "onnxruntime"):
        with pytest.raises(UsageError, match=engine):
            cp.extract(folder, FakeBackbone(), store=store, engine=engine, quiet=True)


def test_a_seed_that_draws_nothing_is_told(
    colour_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, seed in (("train", 1), ("test", 2)):
        colour_folder(per_class=4, name=f"split/{split}", seed=seed)
    cp.extract(tmp_path / "split", FakeBackbone(), seed=7)
    assert "seed 7 draws no split" in capsys.readouterr().err
    cp.extract(tmp_path / "split", FakeBackbone())
    assert "draws no split" not in capsys.readouterr().err


def test_checking_a_path_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b", "It")
    check_writable(tmp_path / "r.html", "It", is_folder=False)
    assert list(tmp_path.iterdir()) == []


def test_a_share_may_be_nothing_and_all() -> None:
    for value in (0, 0.0, 1, 1.0):
        check_share("max_bad", value)


NEEDED = {"name": "x", "data": "x", "texts": ["x"], "model": "x", "path": "x", "network": "x"}


@pytest.mark.parametrize(
    "verb", ["load", "extract", "choose", "fit", "evaluate", "predict", "load_predictor", "encode"]
)
def test_every_bool_argument_refuses_what_is_none(verb: str) -> None:
    """Found by the signatures, so that one that is added is checked, too."""
    call = getattr(api, verb)
    parameters = inspect.signature(call).parameters.values()
    flags = [each.name for each in parameters if "bool" in str(each.annotation)]
    assert flags
    given = {each.name: NEEDED[each.name] for each in parameters if each.name in NEEDED}
    for flag in flags:
        for value in ("no", 1, np.array([True])):
            with pytest.raises(UsageError, match=f"{flag} is .* neither True nor False"):
                call(**given, **{flag: value})


def test_numpys_bools_are_bools() -> None:
    check_flags(quiet=np.bool_(False))


@pytest.mark.parametrize("taps", [None, 1.5, [None], [1.5], True])
def test_taps_that_are_none_are_refused(taps: Any) -> None:
    with pytest.raises(UsageError):
        cp.extract([noisy_image(0, 0)], FakeBackbone(), taps, quiet=True)
    with pytest.raises(UsageError):
        FakeBackbone().tap_specs(taps, ["gap"])


def test_numpys_whole_numbers_are_indices_of_layers() -> None:
    fake, pools = FakeBackbone(), ["gap"]
    for taps in (np.int64(1), [np.int64(1)], np.array([1]), 1):
        assert fake.tap_specs(taps, pools) == fake.tap_specs([1], pools)
        features = cp.extract([noisy_image(0, 0)], fake, taps, "gap", quiet=True)
        assert len(features.taps) == 1


def test_arguments_in_the_wrong_order_are_told_in_a_few_words(tmp_path: Path) -> None:
    X = np.zeros((60, 8), np.float32)
    for call in (
        lambda: cp.fit(FakeBackbone(), (X, X[:, 0])),
        lambda: cp.predict(X, "m"),
        lambda: cp.choose(X, n_workers=X),
    ):
        with pytest.raises(CutpointError) as caught:
            call()
        assert len(str(caught.value)) < 400


def test_a_folder_of_something_else_is_no_store(tmp_path: Path) -> None:
    """Nothing is put beside photos."""
    (tmp_path / ".hidden").touch()
    cp.extract([noisy_image(0, 0)], FakeBackbone(), -1, "gap", tmp_path, quiet=True)
    cp.extract([noisy_image(0, 1)], FakeBackbone(), -1, "gap", tmp_path, quiet=True)
    stopped = tmp_path / "stopped"  # all that a run left whose items were all bad
    stopped.mkdir()
    (stopped / "bad_rows.csv").touch()
    cp.extract([noisy_image(0, 0)], FakeBackbone(), -1, "gap", stopped, quiet=True)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "photo.jpg").touch()
    with pytest.raises(UsageError, match="is no feature store, and it is not empty"):
        cp.extract([noisy_image(0, 0)], FakeBackbone(), store=tmp_path / "cat", quiet=True)
    assert [each.name for each in (tmp_path / "cat").iterdir()] == ["photo.jpg"]


def test_labels_in_the_place_of_the_folder_and_no_head_are_told() -> None:
    X = [noisy_image(0, 0)]
    with pytest.raises(UsageError, match="output is") as caught:
        cp.fit(X, [0])
    assert "labels=y" in caught.value.type_next
    with pytest.raises(UsageError, match="no head in an empty list"):
        cp.fit(X, head=[])
