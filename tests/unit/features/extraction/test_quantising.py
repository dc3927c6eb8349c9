"""Which items set the scales of int8, and that one spec has one network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.base.errors import DataError, StoreCorrupt, StoreError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import ArraySpec, FeatureSpec
from cutpoint.features.extraction import Extraction, ExtractOptions, extract_features, quantising
from cutpoint.features.extraction.quantising import cut_of, quantised_spec, shuffled_training_items
from cutpoint.features.store import FeatureStore, verify_store
from cutpoint.items.reading import Dataset
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.learning.choosing import measure_speeds
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import QuantisedCut, checked_engine, compare
from cutpoint.testing import FakeBackbone
from tests.unit.features.store.helpers import images, same

QUIET = Reporter(quiet=True)


def dataset(n_items: int = 12, splits: str = "train train test") -> Dataset:
    rows = np.random.default_rng(0).normal(size=(n_items, 4)).astype(np.float32)
    names = [splits.split()[row % 3] for row in range(n_items)]
    return read_arrays(rows, splits=names, kind="array")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8)
    return cp.load(torch.nn.Sequential(*layers), ArraySpec((4,)))


@pytest.fixture
def spec(backbone: Backbone) -> FeatureSpec:
    return backbone.feature_spec([0, 2], ["none"], precision="int8")


def fill(data: Dataset, backbone: Backbone, spec: FeatureSpec, store: FeatureStore):
    return extract_features(data, backbone, spec, store, ExtractOptions(), QUIET)


def network_files(done: Extraction, store: Path) -> list[Path]:
    return list((store / "networks" / done.features.spec.fingerprint()).iterdir())


def test_only_training_items_set_scales_in_an_order_no_listing_changes() -> None:
    data = dataset()
    found = shuffled_training_items(data)
    assert {item.split for item in found} == {"train"}
    assert found == shuffled_training_items(data.with_items(data.items[::-1]))
    assert [item.key for item in found] != sorted(item.key for item in found)
    bare = data.with_items(tuple(replace(item, split=None) for item in data.items))
    assert len(shuffled_training_items(bare)) == 12


def test_other_training_items_are_another_spec_and_other_test_items_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantising, "quantise", lambda cut, items: b"network")
    fake, store = FakeBackbone(), FeatureStore(tmp_path)
    asked = fake.feature_spec(["conv2"], ["gap"], precision="int8")

    def spec_id(rows: list[int], splits: list[str]) -> str:
        data = read_arrays(list(images(9)[rows]), splits=splits)
        return quantised_spec(data, fake, asked, store, QUIET).fingerprint()

    first = spec_id([0, 1, 2], ["train", "train", "test"])
    assert spec_id([0, 1, 5, 6], ["train", "train", "test", "test"]) == first
    assert spec_id([0, 3, 2], ["train", "train", "test"]) != first
    assert asked.fingerprint() != first


def test_features_come_from_the_one_network_kept_in_the_store(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    few = data.with_items(tuple(i for i in data.items if i.split == "train"))
    first = fill(few, backbone, spec, store).features
    monkeypatch.setattr(quantising, "quantise", None)  # never asked again
    done = fill(data, backbone, spec, store)
    assert done.features.spec == first.spec
    assert (done.n_forward, done.n_calibration) == (4, 0)
    (tap,) = spec.taps[1:]
    native = backbone.cut_at([tap])(np.stack([item.payload for item in data.items]))
    parity = compare({tap.name: done.features.X(tap.name)}, native)
    assert 0.5 < parity.cosine < 1  # single numbers beyond the mean range are clipped; seen 0.9
    assert verify_store(store).is_whole
    for tap in spec.taps:  # one of two outputs of equal shape: the right one
        cut = cut_of(backbone, done.features.spec, store, [tap])
        assert cut.taps == (tap,)
        stored = done.features.X(tap.name)
        X = np.stack([item.payload for item in data.items])
        found = checked_engine(cut, "openvino", 1, {"array": X}, "int8").features[tap.name]
        # OpenVINO fuses other operations; seen on EfficientNet-Lite0: 2e-4.
        np.testing.assert_allclose(found, stored, atol=1e-3 * np.abs(stored).max())


def test_speeds_of_int8_are_measured_and_left_out_where_they_can_not_be(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FeatureStore(tmp_path)
    done = fill(dataset(), backbone, spec, store).features.spec
    cut_at, items = partial(cut_of, backbone, done, store), dataset().items
    speeds = measure_speeds(cut_at, done.taps, done, items, "auto", QUIET)
    assert list(speeds) == ["0", "2"]
    assert min(speeds.values()) > 0
    assert measure_speeds(cut_at, done.taps, done, items, "native", Reporter()) == {}
    assert (
        "Speeds are left out: The engine native can't compute in precision"
        in capsys.readouterr().err
    )


def test_int8_is_never_asked_of_a_network_in_float32(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    """A spec that is complete, and another store: fp32 numbers would lie under the id of int8."""
    data = dataset()
    done = fill(data, backbone, spec, FeatureStore(tmp_path / "one")).features.spec
    with pytest.raises(StoreError, match="lacks the int8 network"):
        fill(data, backbone, done, FeatureStore(tmp_path / "other"))
    cut, X = backbone.cut_at(spec.taps), np.zeros((2, 4), np.float32)
    with pytest.raises(UsageError, match="not quantised, so it has no features in int8"):
        checked_engine(cut, "openvino", 1, {"array": X}, "int8")


def test_rows_of_a_network_that_is_gone_are_read_and_not_added_to(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    few = data.with_items(tuple(i for i in data.items if i.split == "train"))
    done = fill(few, backbone, spec, store)
    shutil.rmtree(tmp_path / "networks")
    same(fill(few, backbone, spec, store).features, done.features)
    with pytest.raises(StoreError, match="lacks the int8 network"):
        fill(data, backbone, spec, store)
    ((_, what),) = verify_store(store).damaged
    assert "network is gone" in what


def test_a_damaged_network_is_made_again_if_it_is_the_same_to_the_bit(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    few = data.with_items(tuple(i for i in data.items if i.split == "train"))
    (file,) = network_files(fill(few, backbone, spec, store), tmp_path)
    whole = file.read_bytes()
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    file.write_bytes(broken)
    assert "not its name" in dict(verify_store(store).damaged)[f"networks/{file.parent.name}"]
    fill(few, backbone, spec, store)
    assert file.read_bytes() == whole
    file.write_bytes(broken)
    monkeypatch.setattr(quantising, "quantise", lambda cut, items: b"another")
    with pytest.raises(StoreCorrupt, match="not its name"):
        fill(data, backbone, spec, store)
    assert file.read_bytes() == broken


def test_of_two_networks_none_is_taken(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    store, data = FeatureStore(tmp_path), dataset()
    few = data.with_items(tuple(i for i in data.items if i.split == "train"))
    done = fill(few, backbone, spec, store)
    store.add_network(done.features.spec.fingerprint(), b"another")
    with pytest.raises(StoreCorrupt, match=r"2 networks are in .*\nOne of them gave the features"):
        fill(data, backbone, spec, store)
    assert not verify_store(store).is_whole


def test_a_kill_while_a_network_is_written_leaves_nothing(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    store = FeatureStore(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cutpoint.base.files.os.replace", lambda *paths: exec("raise SystemExit"))
        with pytest.raises(SystemExit):
            fill(dataset(), backbone, spec, store)
    (left,) = tmp_path.rglob("*.tmp")
    left.rename(left.with_name(f"other-{left.name}"))  # another process's
    fill(dataset(), backbone, spec, store)
    assert not list(tmp_path.rglob("*.tmp"))


def test_few_items_set_scales(
    tmp_path: Path, spec: FeatureSpec, backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def count(cut: object, items: list[np.ndarray]) -> bytes:
        counts.append(len(items))
        return b"network"

    monkeypatch.setattr(quantising, "quantise", count)
    monkeypatch.setattr(quantising, "N_CALIBRATION", 3)
    quantised_spec(dataset(), backbone, spec, FeatureStore(tmp_path), QUIET)
    assert counts == [3]


def test_a_predictor_carries_the_network_cut_at_its_taps(backbone: Backbone) -> None:
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = ["up" if row[0] > 0 else "down" for row in X]
    options = {"labels": labels, "strategy": "fused", "quiet": True}
    model = cp.fit(X, None, backbone, [0, 2], "none", precision="int8", **options)
    assert model.recipe.taps == ("0/none", "2/none")
    assert model.card.evaluation["scores"]["accuracy"]["value"] > 0.8
    cut = QuantisedCut(backbone.cut_at(model.taps), model.network)
    found = checked_engine(cut, "openvino", 1, {"array": X}, "int8").features
    assert compare(found, backbone.cut_at(model.taps)(X)).cosine > 0.5
    with pytest.raises(UsageError, match="not quantised"):
        replace(model, network=b"").predict(X)


def test_without_training_items_no_scale_is_set(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec
) -> None:
    with pytest.raises(DataError, match="None of 0 training items"):
        fill(dataset(splits="test test test"), backbone, spec, FeatureStore(tmp_path))


def test_engines_that_can_not_are_refused_not_replaced(
    tmp_path: Path, backbone: Backbone, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ExtractOptions("native")
    monkeypatch.setattr(quantising, "quantise", None)  # refused before such work
    with pytest.raises(UsageError, match="The engine native can't compute in precision"):
        extract_features(dataset(), backbone, spec, FeatureStore(tmp_path), options, QUIET)
