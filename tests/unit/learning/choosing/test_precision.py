"""What a precision costs is told before it is paid, and too much is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import PredictorError, UsageError
from cutpoint.base.spec import ArraySpec
from cutpoint.features.extraction import quantising
from cutpoint.features.extraction.quantising import shuffled_training_items
from cutpoint.features.store import FeatureStore
from cutpoint.items.reading import digest_payload, read_dataset, read_payload
from cutpoint.learning.choosing import PrecisionCheck, precision
from cutpoint.learning.metrics import Interval, paired_bootstrap
from cutpoint.networks.engines import gate, select
from cutpoint.networks.engines.native import NativeEngine
from cutpoint.networks.engines.parity import MIN_COSINES
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import CountingBackbone, images
from tests.unit.products.test_predictor import change

Maker = Callable[..., Path]


def engine_that_adds(noise: float, only: str = "") -> type[NativeEngine]:
    """Return a native engine that has every precision, the reduced ones as noise on some taps."""

    class Coarse(NativeEngine):
        def __init__(self, cut, n_threads: int, precision: str = "fp32") -> None:
            super().__init__(cut, n_threads)
            self._noise = noise if precision != "fp32" else 0.0

        def session(self):
            def run(batch):
                random = np.random.default_rng(int(batch["image"].sum()))
                found = super(Coarse, self).session()(batch)
                return {
                    tap: rows
                    + np.float32(self._noise * tap.startswith(only))
                    * random.normal(size=rows.shape)
                    for tap, rows in found.items()
                }

            return lambda batch: {t: np.float32(rows) for t, rows in run(batch).items()}

    return Coarse


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_noise(noise: float, only: str = "") -> None:
        monkeypatch.setattr(gate, "NativeEngine", engine_that_adds(noise, only))
        monkeypatch.setitem(select.ENGINES, "native", engine_that_adds(noise, only))

    return set_noise


def torch_network():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8))


def test_both_figures_are_told_kept_and_computed_once(
    colour_folder: Maker,
    tmp_path: Path,
    noisy: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    noisy(0.01)
    folder = colour_folder()
    features = cp.extract(folder, FakeBackbone(), store=tmp_path / "s", precision="bf16")
    check = features.precision_check
    assert check is not None
    assert (check["n_items"], check["n_taps"], check["tap"]) == (48, 7, "conv1/gap")
    assert 0.99 < check["cosine"] < 1
    # Colours are told apart without fault, with this noise or without.
    assert (check["fp32_accuracy"], check["accuracy"], check["gain"]) == (1.0, 1.0, None)
    cosine = f"on 48 training items: cosine {check['cosine']:.4f} at worst; "
    assert check["text"].startswith(f"Precision bf16 against fp32 {cosine}")
    assert "leave-one-out accuracy 1.000 → 1.000, no item differs (conv1/gap" in check["text"]
    told = capsys.readouterr().err
    assert check["text"] in told.replace("\n", " ")
    assert max(map(len, told.splitlines())) <= 100
    again = CountingBackbone()
    assert (
        cp.extract(folder, again, store=tmp_path / "s", precision="bf16").precision_check == check
    )
    assert again.n_forward == 0
    assert FeatureStore(tmp_path / "s").open().precision_check == check


def test_too_much_lost_is_refused_before_all_is_computed(
    colour_folder: Maker,
    tmp_path: Path,
    noisy: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noisy(10.0)
    monkeypatch.setitem(MIN_COSINES, "bf16", -1.0)
    with pytest.raises(UsageError, match="loses 2% at most, or no more than chance") as refused:
        cp.extract(colour_folder(), FakeBackbone(), store=tmp_path / "s", precision="bf16")
    assert "leave-one-out accuracy 1.000 → 0." in refused.value.got
    assert not FeatureStore(tmp_path / "s").views()


@pytest.mark.parametrize(
    ("value", "high", "is_refused"),
    [(-0.03, -0.01, True), (-0.03, 0.0, False), (-0.02, -0.01, False), (0.03, 0.05, False)],
)
def test_refused_is_what_is_more_than_two_points_and_more_than_chance(
    value: float, high: float, is_refused: bool
) -> None:
    check = PrecisionCheck("int8", 256, 0.9, gain=Interval(value, -0.1, high))
    assert check.is_refused is is_refused


def test_the_tap_that_loses_most_is_told_whichever_it_is(
    colour_folder: Maker,
    tmp_path: Path,
    noisy: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a loss that the deepest tap does not share would go unseen: seen on scans of digits."""
    noisy(10.0, only="conv1")
    monkeypatch.setitem(MIN_COSINES, "bf16", -1.0)
    with pytest.raises(UsageError, match=r"\(conv1/g[am]p, the worst of 7"):
        cp.extract(colour_folder(), FakeBackbone(), store=tmp_path / "s", precision="bf16")


def test_a_clear_loss_is_put_before_a_larger_one_by_chance_and_the_interval_allows_for_both() -> (
    None
):
    """Of 400 items the first tap loses 130 and gains 108; the second loses 20 and gains none."""
    right = np.ones(400)
    clear, luck = right.copy(), right.copy()
    clear[:20] = 0
    luck_before = np.zeros(400)
    luck[:] = 0
    luck_before[:150], luck[130:258] = 1, 1

    def candidates(*outcomes: np.ndarray) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(tap=f"tap{n}", outcomes=each, score=Interval(each.mean(), 0, 1))
            for n, each in enumerate(outcomes)
        ]

    before, after = candidates(luck_before, right), candidates(luck, clear)
    found = precision._with_worst(PrecisionCheck("int8", 400, 0.9), before, after)
    assert (found.tap, found.n_taps, found.is_refused) == ("tap1", 2, True)
    assert found.gain is not None
    alone = paired_bootstrap(clear, right)
    assert found.gain.low < alone.low < alone.high < found.gain.high < 0


def test_items_without_labels_are_left_out_of_the_accuracy(
    tmp_path: Path, noisy: Callable[..., None]
) -> None:
    noisy(1e-3)
    labels = [None, *(["a", "b"] * 4)]
    options = {"labels": labels, "splits": ["train"] * 9, "store": tmp_path, "quiet": True}
    found = cp.extract(images(9), FakeBackbone(), precision="fp16", **options).precision_check
    assert (found["n_items"], found["n_judged"]) == (9, 8)
    assert "leave-one-out accuracy of 8 with labels" in found["text"]


@pytest.mark.parametrize(
    ("labels", "groups", "why"),
    [
        ("ab" * 6, ["g"] * 12, "all items are of one group"),
        ([f"c{n}" for n in range(12)], None, "12 items have 12 different labels"),
    ],
)
def test_what_can_not_be_judged_does_not_stop_the_run(
    tmp_path: Path,
    noisy: Callable[..., None],
    labels: list[str],
    groups: list[str] | None,
    why: str,
) -> None:
    noisy(1e-3)
    found = cp.extract(
        images(12), FakeBackbone(), labels=list(labels), groups=groups, splits=["train"] * 12,
        store=tmp_path, precision="fp16", quiet=True,
    )  # fmt: skip
    assert f"no accuracy, as {why}" in found.precision_check["text"]


def test_the_last_items_are_compared_and_those_that_set_scales_too_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "N_CHECKED", 6)
    monkeypatch.setattr(quantising, "N_CALIBRATION", 5)
    network = cp.load(torch_network(), ArraySpec((4,)))
    X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    store, options = FeatureStore(tmp_path), {"store": tmp_path, "quiet": True}
    check = cp.extract(X, network, ["0"], "none", precision="int8", **options).precision_check
    # Of 9 items in one order the first 5 set scales and the last 6 are compared: 2 do both.
    assert (check["n_items"], check["n_in_scales"]) == (6, 2)
    assert "on 6 training items, 2 of which set its scales:" in check["text"]
    items = shuffled_training_items(read_dataset(X))
    full = network.feature_spec(["0"], ["none"])
    assert set(store.places(full.fingerprint())) == {
        digest_payload(read_payload(item)) for item in items[-6:]
    }


def test_the_report_of_a_fresh_run_calls_nothing_stored(
    colour_folder: Maker, tmp_path: Path, noisy: Callable[..., None]
) -> None:
    noisy(1e-3)
    run = {"backbone": FakeBackbone(), "store": tmp_path / "s", "quiet": True}
    model = cp.fit(colour_folder(), precision="bf16", **run)
    facts = model.card.extraction
    assert (facts["n_forward"], facts["n_stored"]) == (60, 0)
    again = cp.fit(colour_folder(), precision="bf16", **run).card.extraction
    assert (again["n_forward"], again["n_stored"]) == (0, 60)


def test_without_labels_the_cosine_alone_is_told(
    tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    noisy(1e-3)
    found = cp.extract(images(9), FakeBackbone(), store=tmp_path, precision="fp16", quiet=True)
    assert found.precision_check is not None
    assert found.precision_check["accuracy"] is None
    assert found.precision_check["text"].endswith("no accuracy, as items have no labels")


def test_fp32_is_compared_with_nothing(tmp_path: Path) -> None:
    assert cp.extract(images(9), FakeBackbone(), store=tmp_path, quiet=True).precision_check is None


def test_a_predictor_computes_in_the_precision_it_was_fitted_in(
    colour_folder: Maker, tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    noisy(1e-3)
    folder = colour_folder()
    model = cp.fit(folder, tmp_path / "m", FakeBackbone(), precision="bf16", quiet=True)
    assert model.card.precision_check["precision"] == "bf16"
    assert "the network computes in bf16" in str(model)
    report = (tmp_path / "m" / "report.html").read_text()
    assert "--precision bf16" in report
    assert "Precision bf16 against fp32 on 48 training items" in report
    again = cp.load_predictor(tmp_path / "m")
    assert again.precision == "bf16"
    assert again.predict(sorted(folder.rglob("*.png")))[0].label == "blue"


def test_a_machine_that_lacks_the_precision_says_so(colour_folder: Maker, tmp_path: Path) -> None:
    folder = colour_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "NativeEngine", engine_that_adds(1e-3))
        patch.setitem(select.ENGINES, "native", engine_that_adds(1e-3))
        cp.fit(folder, tmp_path / "m", FakeBackbone(), precision="bf16", quiet=True)
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        cp.load_predictor(tmp_path / "m").predict(sorted(folder.rglob("*.png")))
    change(tmp_path / "m", precision="int8")
    with pytest.raises(PredictorError, match="its precision is int8, its networks"):
        cp.load_predictor(tmp_path / "m")


def test_values_are_judged_by_r2_and_too_much_of_it_lost_is_refused(
    tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    random = np.random.default_rng(0)
    levels = random.random(100)
    pixels = random.integers(0, 60, (100, 16, 16, 3)) + 190 * levels[:, None, None, None]
    options = {"labels": list(levels), "store": tmp_path, "quiet": True}
    noisy(1e-3)
    items = list(pixels.astype(np.uint8))
    found = cp.extract(items, FakeBackbone(), precision="fp16", **options).precision_check
    assert found["metric"] == "R²"
    assert found["n_judged"] == 80
    assert "leave-one-out R² 0.99" in found["text"]
    assert abs(found["gain"]["value"]) < 0.02
    noisy(1.0)
    with pytest.raises(UsageError, match="leave-one-out R²"):
        cp.extract(items, FakeBackbone(), precision="bf16", **options)


def test_labels_are_judged_by_how_many_are_right(
    tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    random = np.random.default_rng(0)
    pairs = random.integers(0, 2, (100, 2))
    pixels = random.integers(0, 60, (100, 16, 16, 3))
    pixels[..., :2] += 150 * pairs[:, None, None]
    labels = [[name for name, has in zip("ab", row, strict=True) if has] for row in pairs]
    noisy(1e-3)
    found = cp.extract(
        list(pixels.astype(np.uint8)),
        FakeBackbone(),
        precision="fp16",
        labels=labels,
        store=tmp_path,
        quiet=True,
    ).precision_check
    assert (found["metric"], found["fp32_accuracy"]) == ("labels right", 1.0)
