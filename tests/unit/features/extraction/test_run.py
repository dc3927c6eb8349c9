from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import cutpoint.features.extraction.job as job
from cutpoint.base.errors import DataError, StoreError, TooManyBadItems, UsageError
from cutpoint.features.extraction.unit import describe
from cutpoint.features.store import FeatureStore
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image
from tests.unit.features.store.helpers import CountingBackbone, fill, images


def test_the_parity_gate_runs_once_a_store_and_is_remembered(tmp_path: Path) -> None:
    assert fill(tmp_path, images(20)).n_calibration == 8
    assert fill(tmp_path, images(40)).n_calibration == 0


def test_a_plan_that_does_not_fit_the_disk_stops_before_computing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(job.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(StoreError, match="has 1 kB left"):
        fill(tmp_path, images(200))
    assert not list((tmp_path / "shards").rglob("*.safetensors"))


def test_data_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="None of the 2 items of"):
        fill(tmp_path, [tmp_path / "a.png", tmp_path / "b.png"], max_bad=1.0)


def test_data_of_which_nothing_can_be_decoded_gives_no_row(tmp_path: Path) -> None:
    done = fill(tmp_path, read_arrays([b"junk", b"more junk"]), max_bad=1.0)
    assert len(done.features) == 0
    assert len(done.features.quarantined) == 2


def test_copies_of_a_bad_payload_are_bad_too_and_count(tmp_path: Path) -> None:
    data = read_arrays([b"junk", b"junk", *images(3)])
    done = fill(tmp_path, data, max_bad=0.4)
    assert [key for key, _ in done.features.quarantined] == ["item-000000", "item-000001"]
    assert done.features.quarantined[1][1].startswith("same bytes as item-000000: ")
    assert len(done.features) == 3
    with pytest.raises(TooManyBadItems, match=r"That is 40\.0% so far"):
        fill(tmp_path, data, max_bad=0.3)


def test_an_engine_that_fails_to_convert_is_told_and_native_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unlucky(FakeBackbone):
        def cut_at(self, taps: object) -> object:
            cut = super().cut_at(taps)
            cut.converts_to = ("openvino",)
            return cut

    import cutpoint as cp

    cp.extract(images(5), Unlucky(), store=tmp_path)
    told = capsys.readouterr().err
    assert "engine openvino can't run this cut" in told
    assert "Extract (native): 5/5" in told


@pytest.mark.parametrize("is_there", [True, False])
def test_a_gpu_that_is_not_used_is_told(
    is_there: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import cutpoint as cp

    cuda = SimpleNamespace(is_available=lambda: is_there)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    cp.extract(images(5), FakeBackbone(), store=tmp_path)
    assert ("A GPU is here and is not used" in capsys.readouterr().err) == is_there


def test_the_order_of_the_pools_does_not_change_the_id() -> None:
    one = FakeBackbone().feature_spec("auto", ["gap", "gmp"])
    assert one == FakeBackbone().feature_spec("auto", ["gmp", "gap", "gap"])


def test_features_that_are_not_finite_are_bad_and_their_neighbours_are_kept() -> None:
    batch = images(5)
    cut = FakeBackbone().cut("conv3", pool="gap")

    def broken(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = cut(batch)
        found["conv3/gap"][2, 1] = np.nan
        return found

    dataset = read_arrays(batch)
    found = describe(dataset.items, FakeBackbone().spec.preprocess, broken, "auto", batch_size=8)
    assert found.places == [0, 1, 3, 4]
    assert found.bad == [(2, "features that are NaN or infinite")]
    np.testing.assert_array_equal(
        found.features["conv3/gap"], cut(batch)["conv3/gap"][[0, 1, 3, 4]]
    )


@pytest.mark.parametrize(("value", "is_bad"), [(65504.0, False), (65505.0, True), (-7e4, True)])
def test_what_half_precision_can_not_hold_makes_the_item_bad(value: float, is_bad: bool) -> None:
    batch = images(3)
    cut = FakeBackbone().cut("conv3", pool=["none", "gap"])

    def large(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = cut(batch)
        found["conv3/gap"][0, 0] = 1e6  # a vector, kept in single precision
        found["conv3/none"][1, 2, 0, 0] = value
        return found

    items, preprocess = read_arrays(batch).items, FakeBackbone().spec.preprocess
    found = describe(items, preprocess, large, "auto", batch_size=8)
    assert found.places == ([0, 2] if is_bad else [0, 1, 2])
    if is_bad:
        ((place, reason),) = found.bad
        assert place == 1
        assert "beyond ±65504 of half precision; keep it with storage fp32" in reason
    assert np.isfinite(found.features["conv3/none"]).all()
    assert describe(items, preprocess, large, "fp32", batch_size=8).places == [0, 1, 2]


def test_notes_are_counted_in_the_warnings(tmp_path: Path) -> None:
    from tests.conftest import encoded

    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(noisy_image(0, number), "PNG"))
    files = sorted(tmp_path.glob("*.jpg"))
    features = fill(tmp_path / "s", files).features
    assert features.warnings[0].startswith("3 × PNG file named .jpg: decoded by content (first: ")
    again = fill(tmp_path / "s", files)
    assert again.n_forward == 0
    assert again.features.warnings == features.warnings
    assert len(FeatureStore(tmp_path / "s").views()) == 1  # the very same view


def test_bad_payloads_start_no_engine_the_second_time(tmp_path: Path) -> None:
    data = read_arrays([b"junk", *images(200)])
    first = fill(tmp_path, data)
    counting = CountingBackbone()
    second = fill(tmp_path, data, counting)
    assert not counting.cuts
    assert str(second.plan) == "Plan: 200 items, all stored already; nothing to compute"
    assert second.features.quarantined == first.features.quarantined


def test_a_payload_that_was_bad_is_taken_once_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after installing the plug-in for its format."""
    import cutpoint.features.extraction.unit as unit
    from cutpoint.base.errors import BadItem
    from tests.conftest import encoded

    data = read_arrays([encoded(noisy_image(0, 0), "PNG"), *images(3)])
    real = unit.prepare_item

    def without_png(payload: object, spec: object, name: str = "") -> object:
        if isinstance(payload, bytes):
            raise BadItem("no plug-in")
        return real(payload, spec, name)

    monkeypatch.setattr(unit, "prepare_item", without_png)
    assert len(fill(tmp_path, data, max_bad=1.0).features) == 3
    monkeypatch.setattr(unit, "prepare_item", real)
    mended = fill(tmp_path, data, max_bad=1.0)
    assert (mended.n_forward, len(mended.features), mended.features.quarantined) == (1, 4, ())


def test_a_precision_that_no_engine_has_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    spec = FakeBackbone().feature_spec(["conv2"], ["gap"], precision="bf16")
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        fill(tmp_path, images(5), spec=spec)
    assert not list((tmp_path / "shards").rglob("*.safetensors"))
