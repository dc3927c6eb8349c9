"""What a precision costs is told before it is paid, and too much is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.choosing import PrecisionCheck
from cutpoint.engines import gate, select
from cutpoint.engines.native import NativeEngine
from cutpoint.engines.parity import MIN_COSINES
from cutpoint.errors import PredictorError, UsageError
from cutpoint.metrics import Interval
from cutpoint.predictor import MANIFEST
from cutpoint.store import FeatureStore
from cutpoint.testing import FakeBackbone
from tests.unit.store.helpers import CountingBackbone, images
from tests.unit.test_predictor import change

Maker = Callable[..., Path]


def engine_that_adds(noise: float) -> type[NativeEngine]:
    """Return a native engine that has every precision, the reduced ones as noise."""

    class Coarse(NativeEngine):
        def __init__(self, cut, n_threads: int, precision: str = "fp32") -> None:
            super().__init__(cut, n_threads)
            self._noise = noise if precision != "fp32" else 0.0

        def session(self):
            def run(batch):
                random = np.random.default_rng(int(batch.sum()))
                found = super(Coarse, self).session()(batch)
                return {
                    tap: rows + np.float32(self._noise) * random.normal(size=rows.shape)
                    for tap, rows in found.items()
                }

            return lambda batch: {t: np.float32(rows) for t, rows in run(batch).items()}

    return Coarse


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_noise(noise: float) -> None:
        monkeypatch.setattr(gate, "NativeEngine", engine_that_adds(noise))
        monkeypatch.setitem(select.ENGINES, "native", engine_that_adds(noise))

    return set_noise


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
    assert (check["n_items"], check["tap"]) == (48, "conv3/gap")
    assert 0.99 < check["cosine"] < 1
    # Colours are told apart without fault, with this noise or without.
    assert (check["fp32_accuracy"], check["accuracy"], check["gain"]["value"]) == (1.0, 1.0, 0.0)
    cosine = f"on 48 training items: cosine {check['cosine']:.4f} at worst; "
    assert check["text"].startswith(f"Precision bf16 against fp32 {cosine}")
    assert "leave-one-out accuracy 1.000 → 1.000, +0.000 [" in check["text"]
    assert check["text"] in capsys.readouterr().err
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
    check = PrecisionCheck("int8", 256, 0.9, "a/gap", 0.9, 0.9, Interval(value, -0.1, high))
    assert check.is_refused is is_refused


def test_scaled_decoding_is_judged_in_fp32_alone(
    tmp_path: Path, noisy: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the noise of int8 would be taken for that of decoding: cosine 0.98 on real X-rays."""
    noisy(1e-3)
    judged: list[int] = []
    monkeypatch.setattr(
        "cutpoint.extraction.run.check_drift", lambda units, *rest: judged.append(len(units))
    )
    cp.extract(images(9), FakeBackbone(), store=tmp_path, precision="fp16", quiet=True)
    assert judged == [1]


def test_without_labels_the_cosine_alone_is_told(
    tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    noisy(1e-3)
    found = cp.extract(images(9), FakeBackbone(), store=tmp_path, precision="fp16", quiet=True)
    assert found.precision_check is not None
    assert found.precision_check["accuracy"] is None
    assert found.precision_check["text"].endswith("no accuracy, as items have no labels")


def test_labels_that_are_no_classes_are_not_judged(
    tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    noisy(1e-3)
    labels = [f"{row}.5" for row in range(9)]
    options = {"labels": labels, "splits": ["train"] * 9, "store": tmp_path, "quiet": True}
    found = cp.extract(images(9), FakeBackbone(), precision="fp16", **options)
    assert "9 items have 9 different labels" in found.precision_check["text"]


def test_fp32_is_compared_with_nothing(tmp_path: Path) -> None:
    assert cp.extract(images(9), FakeBackbone(), store=tmp_path, quiet=True).precision_check is None


def test_a_predictor_computes_in_the_precision_it_was_fitted_in(
    colour_folder: Maker, tmp_path: Path, noisy: Callable[[float], None]
) -> None:
    noisy(1e-3)
    folder = colour_folder()
    model = cp.fit(folder, tmp_path / "m", FakeBackbone(), precision="bf16", quiet=True)
    assert model.card["precision_check"]["precision"] == "bf16"
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
    with pytest.raises(UsageError, match="The engine native computes in fp32"):
        cp.load_predictor(tmp_path / "m").predict(sorted(folder.rglob("*.png")))
    change(tmp_path / "m", precision="int8")
    with pytest.raises(PredictorError, match="its precision is int8, its networks"):
        cp.load_predictor(tmp_path / "m")
    assert (tmp_path / "m" / MANIFEST).exists()
